/** `npm run bench`: measures, writes results.json, results.md and plots, and fails when a target was wrong. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { endWithParent } from './ending.js';
import { machineFacts } from './machine.js';
import { readOptions, USAGE, type Options } from './options.js';
import { reached } from './report/goals.js';
import { plotsOf } from './report/plots.js';
import { markdown, type Results } from './report/table.js';
import { RIVALS } from './rivals/all.js';
import { nameOf, run, type Row } from './runner.js';
import { SCENARIOS } from './scenarios/all.js';

endWithParent();
let options: Options;
try {
  options = readOptions(process.argv.slice(2));
} catch (error) {
  console.error(`${(error as Error).message}\n\n${USAGE}`);
  process.exit(2);
}

const { scenarios, against, plan, quick } = options;
const skipped: [string, string][] = [];
const rivals = plan.target ? [] : RIVALS.filter((rival) => {
  if (!against.includes(rival.name)) return false;
  const reason = rival.missing();
  if (reason === undefined) return true;
  skipped.push([rival.title, reason]);
  console.log(`skipped: ${rival.title}, ${reason}`);
  return false;
});

const rows: Row[] = [];
for (const scenario of scenarios) {
  console.log(`\n${scenario.title}`);
  const reason = scenario.missing?.();
  if (reason !== undefined) {
    skipped.push([`scenario ${scenario.name}`, reason]);
    console.log(`skipped: ${reason}`);
    continue;
  }
  rows.push(...await run(scenario, rivals, plan, (line) => console.log(line)));
}
const machine = machineFacts();
const all = [...SCENARIOS].flatMap(({ name }) => {
  const its = rows.filter(({ scenario }) => scenario === name);
  return its.length > 0 ? its : kept(options.out).filter(({ scenario }) => scenario === name);
});
save({ date: new Date().toISOString().slice(0, 10), machine, quick, skipped, rows: all, goals: plan.target ? [] : reached(all) }, options.out);

const wrong = rows.filter(({ target, failed, rounds }) => rounds.some((round) => round.wrong.length > 0) || (failed !== undefined && (target === 'skyport' || target === 'target')));
for (const row of wrong) console.error(`WRONG: ${nameOf(row)}: ${[...new Set([row.failed?.split('\n')[0] ?? '', ...row.rounds.flatMap((round) => round.wrong)])].filter((text) => text !== '').join(', ')}`);
process.exit(wrong.length > 0 ? 1 : 0);

/** Scenarios of an earlier full run on the same machine stand until they are measured again. */
function kept(directory: string): readonly Row[] {
  const file = path.join(directory, 'results.json');
  if (quick || plan.target || !existsSync(file)) return [];
  const before = JSON.parse(readFileSync(file, 'utf8')) as Results;
  return !before.quick && JSON.stringify(before.machine) === JSON.stringify(machine) ? before.rows : [];
}

function save(all: Results, directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(directory)) if (name.endsWith('.svg')) rmSync(path.join(directory, name));
  const plots = plotsOf(all.rows);
  for (const { file, svg } of plots) writeFileSync(path.join(directory, file), svg);
  writeFileSync(path.join(directory, 'results.json'), `${JSON.stringify(all, (_key, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value), 1)}\n`);
  const text = markdown(all, plots);
  writeFileSync(path.join(directory, 'results.md'), `${text}\n`);
  console.log(`\n${text}\n\nwritten to ${directory}`);
}
