/**
 * `skyport top`: servers and users of the running Skyport, live. On a terminal a screen that is drawn
 * anew each interval; anywhere else one plain table after the other.
 */
import { AdminError, adminCall } from '../admin/client.js';
import type { Snapshot } from '../observe/snapshot.js';
import { adminSocket, type SocketOptions } from './config-file.js';
import { durationOf } from './move.js';
import { CommandError, EXIT, type Terminal } from './terminal.js';
import { live } from './top/live.js';
import { plainPage } from './top/page.js';
import { Sampler } from './top/rates.js';
import { processTty, type Tty } from './top/tty.js';
import { SORT_KEYS, type SortKey, type View } from './top/view.js';

export interface TopOptions extends SocketOptions {
  /** A duration as in the config: `1s`. */
  interval: string;
  sort: string;
  users?: boolean;
  /** How many tables; only where stdout is no terminal, or to make it so. */
  count?: string;
}

/** Milliseconds. */
const SHORTEST_INTERVAL = 100;
/** A Skyport that has not answered by then is shown as one that does not. */
const PATIENCE = 3_000;

const NO_ANSWER = 'Skyport does not answer, trying again';

export async function top(options: TopOptions, terminal: Terminal, tty: Tty | undefined = processTty(terminal.env)): Promise<number> {
  const interval = durationOf(options.interval, '--interval');
  if (interval < SHORTEST_INTERVAL) throw new CommandError(`--interval ${options.interval}: at least ${SHORTEST_INTERVAL}ms`, EXIT.usage);
  const view: View = { sort: sortOf(options.sort), reverse: false, show: options.users ? 'users' : 'both', offset: 0, help: false };
  const count = countOf(options.count);
  const socket = adminSocket(options, terminal);
  const ask = (signal?: AbortSignal) => adminCall<Snapshot>(socket, 'GET', 'status', undefined, { timeout: PATIENCE, signal });
  // Where none runs now, that is said like any command says it; only one that was there is waited for.
  const first = await ask();
  if (!tty || count !== undefined) return await plain(first, ask, { interval, count: count ?? Infinity, view }, terminal);
  let next: Snapshot | undefined = first;
  return await live(tty, {
    interval, view, now: () => terminal.now(),
    ask: async (signal) => {
      const known = next;
      next = undefined;
      return known ?? (await ask(signal));
    },
  });
}

interface PlainOptions {
  interval: number;
  count: number;
  view: View;
}

/** @returns whether the last one was answered, as an exit code */
async function plain(first: Snapshot, ask: () => Promise<Snapshot>, { interval, count, view }: PlainOptions, terminal: Terminal): Promise<number> {
  const sampler = new Sampler();
  let snapshot: Snapshot | undefined = first;
  for (let n = 1; ; n++) {
    if (snapshot) terminal.out(`${plainPage(sampler.take(snapshot), view, terminal.now())}\n`);
    if (n >= count) return snapshot ? EXIT.ok : EXIT.failed;
    await terminal.sleep(interval);
    snapshot = await ask().catch((error: unknown) => {
      if (!(error instanceof AdminError)) throw error;
      terminal.err(`${NO_ANSWER}: ${error.message}`);
      return undefined;
    });
  }
}

function sortOf(text: string): SortKey {
  const found = SORT_KEYS.find((key) => key === text);
  if (!found) throw new CommandError(`--sort ${text}: there are ${SORT_KEYS.join(', ')}`, EXIT.usage);
  return found;
}

function countOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new CommandError(`--count ${text}: write a number from 1 on`, EXIT.usage);
  return Number(text);
}
