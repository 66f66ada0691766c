/**
 * How much sessions and users have, and whether there is room for more.
 *
 * What a user has is counted by looking at all of that user's sessions once, when a quota first asks;
 * from then on it follows every change. The look is taken in slices, between which other work goes on.
 */
import { FileFault, type Quotas } from './session-files.js';

/** Milliseconds that a slice may keep the event loop. */
const SLICE = 5;

/** A session as far as it takes room. */
export interface Counted {
  readonly sessionId: string;
  /** The name of its directory. */
  readonly name: string;
  readonly owner: string;
  /** Bytes of all its files, kept by `Usage`; undefined until somebody asked. */
  bytes: number | undefined;
  /** Bytes of all its files, counted on the disk. */
  count(): number;
}

/** Where the sessions of an owner are found. */
export interface Holdings {
  /** Names of the sessions that this owner may have; others may be among them. */
  sessionsOf(owner: string): Iterable<string>;
  /** Bytes of a session's files, counted on the disk; undefined if it is not there or not this owner's. */
  bytesOf(name: string, owner: string): number | undefined;
}

interface Tally {
  bytes: number;
  /** Sessions counted so far; undefined when all are. */
  counted: Set<string> | undefined;
  readonly complete: Promise<void>;
}

export class Usage {
  private readonly tallies = new Map<string, Tally>();

  constructor(private readonly quotas: () => Quotas, private readonly holdings: Holdings) {}

  /** What `admit` has to wait for; undefined if nothing, which is nearly always. */
  pending(owner: string): Promise<void> | undefined {
    if (this.quotas().user === undefined) return undefined;
    const tally = this.tallies.get(owner) ?? this.begin(owner);
    return tally.counted && tally.complete;
  }

  /** @throws FileFault EDQUOT if a session cannot grow by so many bytes; what does not grow is always admitted */
  admit(session: Counted, growth: number): void {
    if (growth <= 0) return;
    const quotas = this.quotas();
    if (quotas.session !== undefined) {
      const bytes = bytesOf(session) + growth;
      if (bytes > quotas.session) throw over(`session ${session.sessionId}`, bytes, quotas.session, 'a session');
    }
    if (quotas.user !== undefined) {
      const bytes = (this.tallies.get(session.owner)?.bytes ?? 0) + growth;
      if (bytes > quotas.user) throw over(`the sessions of ${session.owner}`, bytes, quotas.user, 'a user');
    }
  }

  /** A session has grown by so many bytes (or shrunk: negative); to be told at once. */
  add(session: Counted, growth: number): void {
    if (session.bytes !== undefined) session.bytes += growth;
    const tally = this.tallies.get(session.owner);
    if (tally && (tally.counted === undefined || tally.counted.has(session.name))) tally.bytes += growth;
  }

  /** A session has come to its owner: a new one, or one that was somebody else's. */
  join(session: Counted): void {
    const tally = this.tallies.get(session.owner);
    if (!tally || tally.counted?.has(session.name)) return;
    tally.bytes += bytesOf(session);
    tally.counted?.add(session.name);
  }

  /** A session is about to leave its owner, with all its bytes. */
  leave(session: Counted): void {
    const tally = this.tallies.get(session.owner);
    if (!tally || (tally.counted !== undefined && !tally.counted.delete(session.name))) return;
    tally.bytes -= bytesOf(session);
  }

  private begin(owner: string): Tally {
    const tally: Tally = { bytes: 0, counted: new Set(), complete: Promise.resolve().then(() => this.count(owner, tally)) };
    this.tallies.set(owner, tally);
    return tally;
  }

  /** Every count is as the disk is at that moment; changes before it are in it, those after it are told by `add`. */
  private async count(owner: string, tally: Tally): Promise<void> {
    try {
      let until = performance.now() + SLICE;
      for (const name of this.holdings.sessionsOf(owner)) {
        if (performance.now() > until) {
          await new Promise((resolve) => setImmediate(resolve));
          until = performance.now() + SLICE;
        }
        if (tally.counted!.has(name)) continue;
        const bytes = this.holdings.bytesOf(name, owner);
        if (bytes === undefined) continue;
        tally.bytes += bytes;
        tally.counted!.add(name);
      }
      tally.counted = undefined;
    } catch (error) {
      // The next one to ask counts again.
      this.tallies.delete(owner);
      throw error;
    }
  }
}

/** Bytes of a session, counted if nobody did so before. */
export function bytesOf(session: Counted): number {
  return (session.bytes ??= session.count());
}

function over(who: string, bytes: number, quota: number, whose: string): FileFault {
  const number = (value: number): string => value.toLocaleString('en');
  return new FileFault('EDQUOT', `${who} would have ${number(bytes)} bytes; the quota of ${whose} is ${number(quota)}`);
}
