/** The results as Markdown. */
import type { MachineFacts } from '../machine.js';
import { counting, type Row } from '../runner.js';
import { figure, namesOf, titleOf, written } from './figures.js';
import type { Reached } from './goals.js';

export interface Results {
  readonly date: string;
  readonly machine: MachineFacts;
  readonly quick: boolean;
  /** Targets that could not be measured, and why. */
  readonly skipped: readonly (readonly [target: string, reason: string])[];
  readonly rows: readonly Row[];
  readonly goals: readonly Reached[];
}

export function markdown(results: Results, plots: readonly { readonly scenario: string; readonly file: string; readonly title: string }[]): string {
  const { machine, quick, rows, goals, skipped } = results;
  const byScenario = new Map(rows.map((row) => [row.scenario, rows.filter(({ scenario }) => scenario === row.scenario)]));
  return [
    '# Results of the bench',
    '',
    `${results.date}, ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.kernel}, Node ${machine.node}. ${rows.some(({ target }) => target === 'target') ? 'The load runs there.' : 'Load, target and backend share the machine.'}`,
    `Medians of the rounds, in which targets take turns; the smallest and the largest in brackets.${quick ? ' A quick run: rounds are few and short, so figures are rough.' : ''}`,
    ...skipped.map(([target, reason]) => `Skipped: ${target}, ${reason}.`),
    '',
    ...goalTable(goals),
    ...[...byScenario].flatMap(([scenario, its]) => [
      `## ${its[0]!.title}`,
      '',
      ...tableOf(its),
      '',
      ...remarksOf(its),
      ...plots.filter((plot) => plot.scenario === scenario).flatMap(({ file, title }) => [`![${title}](${file})`, '']),
    ]),
  ].join('\n');
}

function goalTable(goals: readonly Reached[]): string[] {
  const lines = goals.flatMap(({ goal, figure: reachedFigure, met, rounds, needs = [], because }) => {
    const unit = goal.unit === '×' ? '×' : ` ${goal.unit}`;
    const why = needs.length > 0 ? `needs ${needs.join(', ')}` : because;
    if (!reachedFigure) return why === undefined ? [] : [`| ${goal.what} | ≤ ${goal.most}${unit} | ${why} | 0 | |`];
    const { median, min, max } = reachedFigure;
    return `| ${goal.what} | ≤ ${goal.most}${unit} | ${written(median)}${unit} (${written(min)}–${written(max)}) | ${rounds} | ${met ? 'met' : '**missed**'} |`;
  });
  if (lines.length === 0) return [];
  return ['## Goals', '', '| scenario | goal | figure | rounds | |', '|---|---|---|---|---|', ...lines, ''];
}

function tableOf(rows: readonly Row[]): string[] {
  const names = namesOf(rows);
  const lines = rows.map((row) => {
    const cells = names.map((name) => {
      const value = figure(row, name);
      if (!value) return '';
      return value.min === value.max ? written(value.median) : `${written(value.median)} (${written(value.min)}–${written(value.max)})`;
    });
    return `| ${row.targetTitle}${row.size === undefined ? '' : `, ${row.size.toLocaleString('en')}`} | ${cells.join(' | ')} | ${stateOf(row)} |`;
  });
  return [`| target | ${names.map(titleOf).join(' | ')} | |`, `|---|${names.map(() => '---|').join('')}---|`, ...lines];
}

/** @returns what makes a row doubtful */
export function stateOf(row: Row): string {
  const wrong = [...new Set(row.rounds.flatMap((round) => round.wrong))];
  if (wrong.length > 0) return `**WRONG**: ${wrong.slice(0, 3).join(', ')}`;
  if (row.failed !== undefined) return `**FAILED**: ${row.failed.split('\n')[0]!}`;
  const rounds = counting(row);
  const disturbed = rounds.filter((round) => round.disturbed).length;
  const held = [...new Set(rounds.flatMap(({ bottleneck }) => bottleneck))];
  return [
    disturbed > 0 ? `${disturbed} of ${rounds.length} rounds disturbed` : '',
    held.length > 0 ? `held up by ${held.join(' and ')}` : '',
  ].filter((text) => text !== '').join('; ');
}

function remarksOf(rows: readonly Row[]): string[] {
  const rounds = rows.flatMap((row) => counting(row));
  if (rounds.length === 0) return [];
  const share = (name: 'idle' | 'others'): string => {
    const values = rounds.map(({ reading }) => reading[name]);
    return values.length === 0 ? '' : `${Math.round(Math.min(...values) * 100)}–${Math.round(Math.max(...values) * 100)} %`;
  };
  const notes = rows.flatMap((row) => [...new Set(row.rounds.flatMap((round) => round.notes ?? []))].map((note) => `${row.targetTitle}: ${note}.`));
  return [...notes, `${rows[0]!.date}, ${Math.max(...rows.map((row) => counting(row).length))} rounds. The machine during these: ${share('idle')} idle, ${share('others')} used by others.`, ''];
}
