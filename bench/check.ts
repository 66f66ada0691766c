/**
 * `npm run bench:check`: a short run of what the goals compare. Fails when a ratio is worse by a third than
 * check.json has it, or a target is wrong. With `--record` it writes what it finds there.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { GOALS, reached } from './report/goals.js';
import { RIVALS } from './rivals/all.js';
import { run, type Row } from './runner.js';
import { SCENARIOS } from './scenarios/all.js';

const FILE = 'bench/check.json';
const WORSE = 4 / 3;
const PLAN = { rounds: 3, shorter: 0.5, again: 2, patience: 20 };

const needed = new Map<string, Set<string>>();
for (const { of, against } of GOALS) {
  for (const term of against ? [of, against] : [of]) {
    const targets = needed.get(term.scenario) ?? new Set();
    needed.set(term.scenario, targets.add(term.target));
    if (term.beyond !== undefined) targets.add(term.beyond);
  }
}
const absent = new Map(RIVALS.flatMap((rival) => {
  const reason = rival.missing();
  return reason === undefined ? [] : [[rival.name, reason] as const];
}));

const rows: Row[] = [];
for (const scenario of SCENARIOS) {
  const targets = needed.get(scenario.name);
  if (!targets) continue;
  const small = scenario.sizes ? { ...scenario, targets: [...targets] } : scenario;
  rows.push(...await run(small, RIVALS.filter(({ name }) => targets.has(name) && !absent.has(name)), PLAN, (line) => console.log(line)));
}

const found = Object.fromEntries(reached(rows).flatMap(({ goal, figure }) => (figure ? [[goal.name, Number(figure.median.toPrecision(3))]] : [])));
if (process.argv.includes('--record')) {
  writeFileSync(FILE, `${JSON.stringify(found, undefined, 2)}\n`);
  console.log(`written to ${FILE}`);
} else process.exitCode = compare(JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, number>);

const wrong = rows.filter(({ failed, rounds }) => failed !== undefined || rounds.some((round) => round.wrong.length > 0));
for (const { scenario, target, failed, rounds } of wrong) console.error(`WRONG: ${scenario} ${target}: ${failed ?? rounds.flatMap((round) => round.wrong).join(', ')}`);
if (wrong.length > 0) process.exitCode = 1;

/** @returns the exit code */
function compare(recorded: Record<string, number>): number {
  let code = 0;
  for (const { goal, figure, rounds } of reached(rows)) {
    const before = recorded[goal.name];
    if (!figure || before === undefined) {
      console.log(`${goal.name}: not compared${absent.size > 0 ? ` (${[...absent].map(([name, reason]) => `${name}: ${reason}`).join('; ')})` : ''}`);
      continue;
    }
    const worse = figure.median > before * WORSE;
    if (worse) code = 1;
    console.log(`${goal.name}: ${figure.median.toPrecision(3)} of ${rounds} rounds, recorded ${before}, goal ${goal.most}${worse ? ': WORSE by more than a third' : ''}`);
  }
  return code;
}
