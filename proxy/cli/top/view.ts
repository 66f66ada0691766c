/** What the person at the terminal wants to see, and how keys change it. */

export const SORT_KEYS = ['turns', 'sessions', 'rss', 'age', 'latency'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

export type Show = 'both' | 'servers' | 'users';
const SHOWS: readonly Show[] = ['both', 'servers', 'users'];

export interface View {
  sort: SortKey;
  /** The smallest first. */
  reverse: boolean;
  show: Show;
  /** Rows of the table that scrolls that are above its first visible one. */
  offset: number;
  help: boolean;
}

/** Of the table that scrolls: as it was drawn last. */
export interface Scroll {
  offset: number;
  /** Rows that are visible. */
  room: number;
  total: number;
}

export type Key = 'quit' | 'suspend' | 'sort' | 'reverse' | 'show' | 'help' | 'up' | 'down' | 'pageUp' | 'pageDown' | 'first' | 'last' | 'redraw';

const KEYS: ReadonlyMap<string, Key> = new Map([
  ['q', 'quit'], ['Q', 'quit'], ['\u0003', 'quit'], ['\u0004', 'quit'], ['\u001a', 'suspend'],
  ['s', 'sort'], ['r', 'reverse'], ['u', 'show'], ['h', 'help'], ['?', 'help'], ['\u000c', 'redraw'],
  ['\u001b[A', 'up'], ['\u001bOA', 'up'], ['k', 'up'], ['\u001b[B', 'down'], ['\u001bOB', 'down'], ['j', 'down'],
  ['\u001b[5~', 'pageUp'], ['\u001b[6~', 'pageDown'], [' ', 'pageDown'],
  ['\u001b[H', 'first'], ['\u001bOH', 'first'], ['\u001b[1~', 'first'], ['\u001b[F', 'last'], ['\u001bOF', 'last'], ['\u001b[4~', 'last'],
]);

/** What a terminal sends for a key is one character, or a sequence that begins with ESC. */
const SEQUENCE = /\u001b\[[0-9;]*[A-Za-z~]|\u001bO[A-Za-z]|[^]/g;

/** The keys in what was typed; what has no meaning is left out. */
export function keysIn(typed: string): Key[] {
  return (typed.match(SEQUENCE) ?? []).flatMap((sequence) => KEYS.get(sequence) ?? []);
}

/** The view after a key; the same object when the key changes nothing. */
export function press(view: View, key: Key, { offset, room, total }: Scroll): View {
  const to = (row: number): View => ({ ...view, offset: Math.max(0, Math.min(row, total - room)) });
  switch (key) {
    case 'sort': return { ...view, sort: next(SORT_KEYS, view.sort), offset: 0 };
    case 'reverse': return { ...view, reverse: !view.reverse, offset: 0 };
    case 'show': return { ...view, show: next(SHOWS, view.show), offset: 0 };
    case 'help': return { ...view, help: !view.help };
    case 'up': return to(offset - 1);
    case 'down': return to(offset + 1);
    case 'pageUp': return to(offset - room);
    case 'pageDown': return to(offset + room);
    case 'first': return to(0);
    case 'last': return to(total - room);
    default: return view;
  }
}

function next<T>(all: readonly T[], one: T): T {
  return all[(all.indexOf(one) + 1) % all.length]!;
}
