/**
 * `npm run bench:check`: a short run of what the goals compare. Fails when a ratio is worse by a third than
 * check.json has it, or a target is wrong. With `--record` it writes there what it finds, unless a target is wrong;
 * what it could not measure stays as it was.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { endWithParent } from './ending.js';
import { GOALS, reached } from './report/goals.js';
import { RIVALS } from './rivals/all.js';
import { nameOf, run, type Row } from './runner.js';
import { SCENARIOS } from './scenarios/all.js';

const FILE = 'bench/check.json';
const WORSE = 4 / 3;
const PLAN = { rounds: 3, shorter: 0.5, again: 2, patience: 20 };

endWithParent();
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

const recorded = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, number>;
const wrong = rows.filter(({ failed, rounds }) => failed !== undefined || rounds.some((round) => round.wrong.length > 0));
for (const { scenario, target, failed, rounds } of wrong) console.error(`WRONG: ${scenario} ${target}: ${failed ?? rounds.flatMap((round) => round.wrong).join(', ')}`);
const disturbed = rows.filter((row) => row.rounds.length > 0 && row.rounds.every((round) => round.disturbed)).map(nameOf);
if (disturbed.length > 0) console.log(`others used the machine during every round of ${disturbed.join(', ')}: these ratios say little`);
if (!process.argv.includes('--record')) process.exitCode = compare();
else if (wrong.length === 0) {
  const found = reached(rows).flatMap(({ goal, figure }) => (figure ? [[goal.name, Number(figure.median.toPrecision(3))] as const] : []));
  const all = new Map([...Object.entries(recorded), ...found]);
  // In the order of the goals.
  const ordered = GOALS.flatMap(({ name }) => (all.has(name) ? [[name, all.get(name)] as const] : []));
  writeFileSync(FILE, `${JSON.stringify(Object.fromEntries(ordered), undefined, 2)}\n`);
  console.log(`written to ${FILE}`);
}
if (wrong.length > 0) process.exitCode = 1;

/** @returns the exit code */
function compare(): number {
  let code = 0;
  for (const { goal, figure, rounds, needs = [], because } of reached(rows)) {
    const before = recorded[goal.name];
    if (!figure) {
      const why = needs.length > 0 ? `needs ${needs.map((name) => `${name}${absent.has(name) ? `, ${absent.get(name)}` : ''}`).join('; ')}` : because;
      console.log(`${goal.name}: not measured${why === undefined ? '' : ` (${why})`}`);
      continue;
    }
    if (before === undefined) {
      console.log(`${goal.name}: ${figure.median.toPrecision(3)} of ${rounds} rounds, goal ${goal.most}; nothing is recorded to compare it with (--record)`);
      continue;
    }
    const worse = figure.median > before * WORSE;
    if (worse) code = 1;
    console.log(`${goal.name}: ${figure.median.toPrecision(3)} of ${rounds} rounds, recorded ${before}, goal ${goal.most}${worse ? ': WORSE by more than a third' : ''}`);
  }
  return code;
}
