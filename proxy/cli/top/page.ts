/** One page of `skyport top`: the lines that fill a screen of some size. Pure. */
import { GAP, cell, cut, layOut, printable, type Layout } from '../table.js';
import { serverColumns, sortServers, sortUsers, userColumns, type TopColumn } from './columns.js';
import type { Paint } from './paint.js';
import type { Sample } from './rates.js';
import { summary, type SummaryLine } from './summary.js';
import type { Scroll, View } from './view.js';

export interface PageOptions {
  rows: number;
  columns: number;
  paint: Paint;
  /** Milliseconds since the epoch. */
  now: number;
  /** Why there is nothing newer than this sample. */
  trouble?: string;
}

export interface Page {
  /** At most `rows`, none wider than `columns`. */
  lines: string[];
  scroll: Scroll;
}

const HELP = [
  'q            leave; Ctrl-C too',
  's            sort by the next of: turns, sessions, rss, age, latency',
  'r            reverse the order',
  'u            servers and users, servers, users',
  'arrows       scroll by a row; j and k too',
  'PageUp/Down  scroll by a page; space too. Home, End',
  'Ctrl-L       draw the screen anew',
  'h            this help, and back',
];

const KEYS_LINE = 'q quit  s sort  r reverse  u servers/users  h help';

/** Lines that the tables get, however much there is to say above them. */
const LEAST_BODY = 5;

export function drawPage(sample: Sample | undefined, view: View, options: PageOptions): Page {
  const { rows, paint, now, trouble } = options;
  const above: SummaryLine[] = sample ? summary(sample, now) : [{ text: 'Skyport', meaning: 'strong' }];
  if (trouble !== undefined) above.splice(1, 0, { text: printable(trouble), meaning: 'bad' });
  const shown = above.slice(0, Math.max(2, rows - LEAST_BODY - 2));
  const head = shown.map(({ text, meaning }) => paint(meaning, cut(text, options.columns)));
  if (rows > shown.length + LEAST_BODY) head.push('');
  const room = Math.max(0, rows - head.length - 1);
  const body = view.help || !sample
    ? { lines: view.help ? HELP.map((line) => cut(line, options.columns)) : [], scroll: { offset: 0, room, total: 0 } }
    : drawTables(sample, view, options, room);
  const lines = [...head, ...body.lines.slice(0, room)];
  while (lines.length < rows - 1) lines.push('');
  if (rows > 1) lines.push(paint('dim', cut(lastLine(view, body.scroll), options.columns)));
  return { lines: lines.slice(0, rows), scroll: body.scroll };
}

/** Everything of a sample, for an output that is no screen: nothing cut, no colours. */
export function plainPage(sample: Sample, view: View, now: number): string {
  const lines = summary(sample, now).map(({ text }) => text);
  const whole = { rows: Infinity, columns: Infinity, paint: (_: unknown, text: string) => text, now };
  const { lines: body } = drawTables(sample, view, whole, Infinity);
  return [...lines, '', ...body].map((line) => line.trimEnd()).join('\n');
}

function lastLine(view: View, { offset, room, total }: Scroll): string {
  const range = total > room ? `  ${offset + 1}-${Math.min(total, offset + room)} of ${total}` : '';
  return `${KEYS_LINE}  | by ${view.sort}${view.reverse ? ', reversed' : ''}${range}`;
}

interface Body {
  lines: string[];
  scroll: Scroll;
}

function drawTables(sample: Sample, view: View, options: PageOptions, room: number): Body {
  const { snapshot } = sample;
  const { sort, reverse, show } = view;
  const servers = () => drawTable(serverColumns(sample, options.now), sortServers(snapshot.backends, sort, reverse), view, options);
  const users = () => drawTable(userColumns(), sortUsers(snapshot.users ?? [], snapshot.backends, sort, reverse), view, options);
  if (show === 'servers') return scrolled(servers(), view.offset, room);
  if (show === 'users') return scrolled(users(), view.offset, room);
  const [above, below] = [servers(), users()];
  // Who uses the servers gets what they leave, and a third in any case.
  const lower = Math.min(below.length, Math.max(Math.floor(room / 3), room - above.length - 1));
  const { lines, scroll } = scrolled(above, view.offset, Math.max(0, room - lower - 1));
  return { lines: [...lines, '', ...below.slice(0, Math.max(0, lower))], scroll };
}

/** @param table its head, then its rows */
function scrolled(table: readonly string[], wanted: number, room: number): Body {
  const total = table.length - 1;
  const visible = Math.max(0, room - 1);
  const offset = Math.max(0, Math.min(wanted, total - visible));
  return { lines: [table[0]!, ...table.slice(1 + offset, 1 + offset + visible)], scroll: { offset, room: visible, total } };
}

function drawTable<R>(columns: readonly TopColumn<R>[], rows: readonly R[], { sort, reverse }: View, { columns: width, paint }: PageOptions): string[] {
  // What it is sorted by stays in sight.
  const marked = columns.map((column) => (column.sort === sort ? { ...column, head: `${column.head}${reverse ? '↑' : '↓'}`, drops: undefined } : column));
  const bounded = width === Infinity ? undefined : width;
  const layout: Layout<R> & { columns: ReadonlyArray<TopColumn<R>> } = layOut(marked, rows, bounded)
    ?? layOut(marked.filter(({ drops }) => drops === undefined), rows)!;
  const head = layout.columns.map((column, i) => cell(layout, i, column.head)).join(GAP);
  const lines = layout.cells.map((texts, n) => {
    const row = rows[n]!;
    return cutCells(texts.map((text, i) => ({ text: cell(layout, i, text), meaning: layout.columns[i]!.meaning?.(row) })), width, paint);
  });
  return [paint('head', bounded === undefined ? head : cut(head, bounded).padEnd(bounded)), ...lines];
}

/** Colours come after the cut: a sequence that is cut off would steer the terminal. */
function cutCells(cells: { text: string; meaning: Parameters<Paint>[0] }[], width: number, paint: Paint): string {
  let left = width;
  let line = '';
  for (const [i, { text, meaning }] of cells.entries()) {
    const padded = `${i === 0 ? '' : GAP}${text}`;
    const fits = cut(padded, left);
    if (left <= 0) break;
    left -= [...fits].length;
    line += text.trim() === '-' ? fits : paint(meaning, fits);
  }
  return line;
}
