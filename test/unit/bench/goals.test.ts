import { expect, test } from 'vitest';
import { reached, type Goal, type Reached } from '../../../bench/report/goals.js';
import { markdown } from '../../../bench/report/table.js';
import { plotsOf } from '../../../bench/report/plots.js';
import { PERCENTILES } from '../../../bench/load/latencies.js';
import type { MeasuredRound, Row } from '../../../bench/runner.js';

const reading = { targetCpu: 1, shares: {}, idle: 0.5, others: 0, load: 0, ms: 1 };

function row(target: string, values: readonly number[], more: Partial<MeasuredRound> = {}): Row {
  const spread = { count: 1_000_000, at: PERCENTILES.map((percentile) => 10 + percentile) };
  const rounds = values.map((value, i) => ({ number: i + 1, disturbed: false, bottleneck: [], messages: 1, figures: { p50_us: value }, spread, wrong: [], reading, ...more }));
  return { scenario: 'ping-pong', title: 'Ping-pong', unit: 'request', target, targetTitle: target, date: '2026-01-01', rounds };
}

const machine = { cpu: 'A', cores: 2, memoryGiB: 4, kernel: 'Linux 6', node: 'v20' };

function tableWith(goals: readonly Reached[]): string {
  return markdown({ date: '2026-01-01', machine, quick: false, skipped: [], rows: [], goals }, []);
}

const goal: Goal = {
  name: 'g', what: 'w', most: 1.05, unit: '×',
  of: { scenario: 'ping-pong', target: 'skyport', figure: 'p50_us', beyond: 'direct' },
  against: { scenario: 'ping-pong', target: 'haproxy', figure: 'p50_us', beyond: 'direct' },
};

test('a goal is the median of the ratios of each round', () => {
  const rows = [row('direct', [10, 20, 10]), row('haproxy', [20, 40, 30]), row('skyport', [20, 30, 50])];
  expect(reached(rows, [goal])[0]).toMatchObject({ figure: { median: 1, min: 0.5, max: 2 }, rounds: 3, met: true });
});

test('a ratio above the goal is a goal missed', () => {
  const rows = [row('direct', [10]), row('haproxy', [20]), row('skyport', [21])];
  expect(reached(rows, [goal])[0]).toMatchObject({ met: false });
});

test('a goal whose rival was not measured is neither met nor missed', () => {
  expect(reached([row('direct', [10]), row('skyport', [20])], [goal])[0]!.met).toBeUndefined();
});

test('a goal names what else has to be measured for it', () => {
  const [found] = reached([row('haproxy', [20]), row('skyport', [20])], [goal]);
  expect(found).toMatchObject({ figure: undefined, needs: ['direct'] });
  expect(tableWith([found!])).toContain('| w | ≤ 1.05× | needs direct | 0 | |');
});

test('a goal of a scenario that was not in the run is not in the table', () => {
  expect(tableWith(reached([], [goal]))).not.toContain('## Goals');
});

test('a goal whose rival adds nothing stands in the table without a figure', () => {
  const [found] = reached([row('direct', [10]), row('haproxy', [9]), row('skyport', [20])], [goal]);
  expect(tableWith([found!])).toContain('| haproxy was not slower than direct in any round | 0 | |');
});

test('a goal has a figure when each of its targets was disturbed in another round', () => {
  const rows = [row('direct', [10, 10, 10]), row('haproxy', [20, 20, 20]), row('skyport', [20, 20, 20])]
    .map((one, target) => ({ ...one, rounds: one.rounds.map((round, i) => ({ ...round, disturbed: i === target })) }));
  expect(reached(rows, [goal])[0]).toMatchObject({ figure: { median: 1 }, rounds: 3 });
});

test('disturbed rounds do not count while as many others do', () => {
  const rows = [row('direct', [10, 10]), row('haproxy', [20, 20]), row('skyport', [20, 90])];
  const disturbed = { ...rows[2]!, rounds: rows[2]!.rounds.map((round, i) => ({ ...round, disturbed: i === 1 })) };
  expect(reached([rows[0]!, rows[1]!, disturbed], [goal])[0]).toMatchObject({ figure: { median: 1 }, rounds: 1 });
});

test('the table marks a row whose target was wrong', () => {
  const rows = [row('direct', [10]), row('skyport', [20], { wrong: ['3 lost'] })];
  const text = markdown({ date: '2026-01-01', machine, quick: false, skipped: [['nginx stream', 'not installed']], rows, goals: [] }, []);
  expect(text).toContain('| skyport | 20.0 | **WRONG**: 3 lost |');
  expect(text).toContain('Skipped: nginx stream, not installed.');
});

test('plots are drawn as SVG with every target named', () => {
  const [plot] = plotsOf([row('direct', [10]), row('skyport', [20])]);
  expect(plot!.svg).toMatch(/^<svg/);
  expect(plot!.svg).toContain('skyport');
});
