/** All sessions counted in one pass: by backend, by holder and by owner. */
import type { Session } from './session.js';

export interface OwnerCount {
  sessions: number;
  loaded: number;
  turnsOpen: number;
}

export interface Census {
  /** Sessions bound to each backend of this Skyport. */
  readonly bound: ReadonlyMap<string, number>;
  /** Sessions that each Skyport serves, by instance; '' where there is only one. */
  readonly held: ReadonlyMap<string, number>;
  readonly owners: ReadonlyMap<string, Readonly<OwnerCount>>;
}

/** @param live those that may be loaded or have a turn: all others are counted by their records alone */
export function takeCensus(all: Iterable<Session>, live: Iterable<Session>): Census {
  const bound = new Map<string, number>();
  const held = new Map<string, number>();
  const owners = new Map<string, OwnerCount>();
  for (const { foreign, backend, holder, owner } of all) {
    if (!foreign) add(bound, backend);
    add(held, holder);
    const count = owners.get(owner);
    if (count) count.sessions++;
    else owners.set(owner, { sessions: 1, loaded: 0, turnsOpen: 0 });
  }
  for (const session of live) {
    const count = owners.get(session.owner);
    if (!count) continue;
    if (session.loaded) count.loaded++;
    if (session.turn.open) count.turnsOpen++;
  }
  return { bound, held, owners };
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
