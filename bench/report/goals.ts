/** The goals, each a ratio within one round, and what was reached: the median of the rounds. */
import { calmest, type Row } from '../runner.js';
import { figureOf, type Figure } from './figures.js';

export interface Goal {
  readonly name: string;
  readonly what: string;
  /** The ratio, or KiB, is not to be above it. */
  readonly most: number;
  readonly unit: '×' | 'KiB';
  readonly of: Term;
  /** Left out: `of` itself is what counts. */
  readonly against?: Term;
}

interface Term {
  readonly scenario: string;
  readonly target: string;
  readonly figure: string;
  readonly size?: number;
  /** Taken off it: the same figure of this target. */
  readonly beyond?: string;
}

export interface Reached {
  readonly goal: Goal;
  /** Undefined when it was not measured. */
  readonly figure: Figure | undefined;
  readonly rounds: number;
  readonly met: boolean | undefined;
  /** Targets that it needs and that were not measured, while Skyport was; or why there is no figure though all were. */
  readonly needs?: readonly string[];
  readonly because?: string;
}

function between(scenario: string, figure: string, target: string, against: string): Pick<Goal, 'of' | 'against'> {
  return { of: { scenario, target, figure }, against: { scenario, target: against, figure } };
}

export const GOALS: readonly Goal[] = [
  { name: 'turn', what: 'real runtime, whole turn p50 through Skyport against direct TCP', most: 0.8, unit: '×', ...between('runtime', 'turn_p50_us', 'skyport', 'direct') },
  { name: 'ping', what: 'real runtime, `ping` after create, p50, against direct TCP', most: 0.05, unit: '×', ...between('runtime', 'ping_p50_us', 'skyport', 'direct') },
  { name: 'stream', what: 'unpaced stream, CPU per event against HAProxy tcp', most: 0.5, unit: '×', ...between('stream', 'cpu_us', 'skyport', 'haproxy') },
  { name: 'stream-paced', what: 'paced stream 20,000/s, 1,000 sessions, CPU per event against HAProxy tcp', most: 0.9, unit: '×', ...between('stream-paced', 'cpu_us', 'skyport', 'haproxy') },
  {
    name: 'ping-pong', what: 'ping-pong, added p50 against HAProxy tcp\'s', most: 1.05, unit: '×',
    of: { scenario: 'ping-pong', target: 'skyport', figure: 'p50_us', beyond: 'direct' },
    against: { scenario: 'ping-pong', target: 'haproxy', figure: 'p50_us', beyond: 'direct' },
  },
  { name: 'pipelined', what: '64 × pipelined, CPU per request against HAProxy tcp', most: 1.8, unit: '×', ...between('pipelined', 'cpu_us', 'skyport', 'haproxy') },
  { name: 'pipelined-json-rpc', what: '64 × pipelined, CPU per request against `vscode-jsonrpc`', most: 0.03, unit: '×', ...between('pipelined', 'cpu_us', 'skyport', 'vscode-jsonrpc') },
  { name: 'large', what: '8 MB messages, CPU per message against HAProxy tcp', most: 0.8, unit: '×', ...between('large', 'cpu_us', 'skyport', 'haproxy') },
  { name: 'large-probe', what: 'the probe\'s p99 beside 8 MB messages against HAProxy\'s', most: 1, unit: '×', ...between('large', 'probe_p99_us', 'skyport', 'haproxy') },
  { name: 'idle', what: '10,000 idle clients, memory each', most: 6, unit: 'KiB', of: { scenario: 'idle', target: 'skyport', figure: 'kib_each' } },
  {
    name: 'growth', what: 'CPU per event at 10,000 sessions against 100', most: 1.15, unit: '×',
    of: { scenario: 'growth', target: 'skyport', figure: 'cpu_us', size: 10_000 },
    against: { scenario: 'growth', target: 'skyport', figure: 'cpu_us', size: 100 },
  },
];

export function reached(rows: readonly Row[], goals: readonly Goal[] = GOALS): Reached[] {
  return goals.map((goal) => {
    const above = valuesOf(rows, goal.of);
    const below = goal.against && valuesOf(rows, goal.against);
    const compared = [...above].flatMap(([round, { value, disturbed }]) => {
      if (!below) return [{ value, disturbed }];
      const other = below.get(round);
      return other === undefined ? [] : [{ value: other.value > 0 ? value / other.value : undefined, disturbed: disturbed || other.disturbed }];
    });
    const ratios = calmest(compared.flatMap(({ value, disturbed }) => (value === undefined ? [] : [{ value, disturbed }]))).map(({ value }) => value);
    const figure = figureOf(ratios);
    const because = !figure && compared.length > 0 && goal.against?.beyond !== undefined
      ? `${goal.against.target} was not slower than ${goal.against.beyond} in any round` : undefined;
    return { goal, figure, rounds: ratios.length, met: figure && figure.median <= goal.most, needs: missing(rows, goal), because };
  });
}

interface Value {
  readonly value: number;
  /** The round was, for one of those that it is made of. */
  readonly disturbed: boolean;
}

function rowOf(rows: readonly Row[], { scenario, target, size }: Omit<Term, 'figure'>): Row | undefined {
  return rows.find((row) => row.scenario === scenario && row.target === target && (size === undefined || row.size === size) && row.rounds.length > 0);
}

/** By the number of the round. */
function valuesOf(rows: readonly Row[], { scenario, target, figure, size, beyond }: Term): Map<number, Value> {
  const less = beyond === undefined ? undefined : valuesOf(rows, { scenario, target: beyond, figure, size });
  return new Map((rowOf(rows, { scenario, target, size })?.rounds ?? []).flatMap(({ number, figures, disturbed }) => {
    const value = figures[figure];
    if (value === undefined) return [];
    if (!less) return [[number, { value, disturbed }] as const];
    const base = less.get(number);
    return base === undefined ? [] : [[number, { value: value - base.value, disturbed: disturbed || base.disturbed }] as const];
  }));
}

/** What else has to be in the run for this goal; nothing if its scenario is not. */
function missing(rows: readonly Row[], { of, against }: Goal): string[] {
  if (!rowOf(rows, of)) return [];
  const terms = [of, ...(against ? [against] : [])].flatMap((term) => [term, ...(term.beyond === undefined ? [] : [{ ...term, target: term.beyond }])]);
  return [...new Set(terms.filter((term) => !rowOf(rows, term)).map(({ target, size }) => (size === undefined ? target : `${target} at ${size.toLocaleString('en')}`)))];
}
