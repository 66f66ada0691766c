/** The bench's command line. */
import { parseArgs } from 'node:util';
import { RIVALS } from './rivals/all.js';
import type { Address } from './rivals/rival.js';
import { SCENARIOS } from './scenarios/all.js';
import type { Scenario } from './scenarios/scenario.js';
import type { Plan } from './runner.js';

export interface Options {
  readonly scenarios: readonly Scenario[];
  readonly against: readonly string[];
  readonly out: string;
  readonly plan: Plan;
  readonly quick: boolean;
}

export const USAGE = `npm run bench -- [scenario…] [--against ${RIVALS.map(({ name }) => name).join(',')}] [--out DIR] [--quick] [--rounds N]
npm run bench -- [scenario…] --target HOST:PORT [--token TOKEN] [--out DIR] [--rounds N]
scenarios: ${SCENARIOS.map(({ name }) => name).join(' ')}`;

const QUICK = { rounds: 1, shorter: 0.3, again: 0, patience: 0 };
const FULL = { rounds: 5, shorter: 1, again: 2, patience: 30 };

/** @throws with what is wrong */
export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args], allowPositionals: true,
    options: {
      against: { type: 'string' }, out: { type: 'string' }, quick: { type: 'boolean', default: false }, rounds: { type: 'string' },
      target: { type: 'string' }, token: { type: 'string' },
    },
  });
  const target = values.target === undefined ? undefined : addressOf(values.target);
  const possible = target ? SCENARIOS.filter(({ anywhere }) => anywhere) : SCENARIOS;
  const usual = values.quick ? QUICK : FULL;
  const scenarios = positionals.length === 0 ? possible.filter(({ extra }) => !values.quick || !extra) : positionals.map((name) => {
    const scenario = SCENARIOS.find((one) => one.name === name);
    if (!scenario) throw new Error(`no scenario is called ${name}`);
    if (!possible.includes(scenario)) throw new Error(`${name} needs the bench's own servers and does not go with --target`);
    return scenario;
  });
  const against = values.against?.split(',') ?? RIVALS.map(({ name }) => name);
  for (const name of against) if (!RIVALS.some((rival) => rival.name === name)) throw new Error(`no target is called ${name}`);
  const rounds = Number(values.rounds ?? usual.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds is not a number of rounds');
  const plan = { ...usual, rounds, ...(target && { target: { address: target, token: values.token } }) };
  return { scenarios, against, out: values.out ?? (values.quick || target ? 'build/bench-results' : 'bench/results'), plan, quick: values.quick };
}

function addressOf(text: string): Address {
  const match = /^(.+):(\d+)$/.exec(text);
  if (!match) throw new Error(`${text} is not HOST:PORT`);
  return { host: match[1]!, port: Number(match[2]) };
}
