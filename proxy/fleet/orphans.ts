/**
 * Ends what servers leave behind.
 *
 * - The shells that a server's tools start are in sessions of their own, so killing the server's
 *   process group does not reach them, and they outlive it (measured with 1.0.85).
 * - A Skyport that is killed with -9 leaves its servers running, on tokens that nobody knows any more
 *   and with session files that the next servers are about to open.
 *
 * Both are found by their marker, never by a name. A process that took the marker out of its
 * environment is found by its cgroup only, where there is one (cgroup.ts); else run the fleet in a
 * container.
 */
import { Cgroups } from './cgroup.js';
import { MARKER_VARIABLE, parseMarker, type Marker } from './marker.js';
import { isAlive, killSeen, processesWith } from './processes.js';

/** A process that forks faster than it is killed is given up on after so many looks. */
const MOST_ROUNDS = 20;

/**
 * Kills the processes left by one server of this Skyport. Servers that end at the same time share the
 * looks at /proc.
 * @param uid whom it ran as, where that is not this process's user
 * @returns how many were killed
 */
export function endServer(marker: Marker, uid?: number): Promise<number> {
  return endMarked(
    (found) => found.fleet === marker.fleet && found.server === marker.server
      && found.parentPid === marker.parentPid && found.parentStart === marker.parentStart,
    uid,
  );
}

/**
 * Kills the servers of this fleet whose Skyport is gone. Those of a Skyport that is alive, this one
 * included, are left alone.
 * @returns how many processes were killed
 */
export async function endOrphans(fleet: string): Promise<number> {
  const inCgroups = await Cgroups.ofThisProcess(fleet)?.endOrphans(isAlive) ?? 0;
  return inCgroups + await endMarked((found) => found.fleet === fleet && !isAlive(found.parentPid, found.parentStart));
}

interface Hunt {
  /** Whose processes they are; anybody's when left out. */
  readonly uid: number | undefined;
  readonly meant: (marker: Marker) => boolean;
  readonly killed: Set<string>;
  rounds: number;
  done(): void;
}

const hunts = new Set<Hunt>();
let looking = false;

function endMarked(meant: (marker: Marker) => boolean, uid?: number): Promise<number> {
  return new Promise((resolve) => {
    const killed = new Set<string>();
    hunts.add({ meant, uid, killed, rounds: 0, done: () => resolve(killed.size) });
    if (!looking) void look();
  });
}

/** A hunt is over with the first look, begun after it, that finds nothing to kill for it. */
async function look(): Promise<void> {
  looking = true;
  while (hunts.size > 0) {
    const present = [...hunts];
    const left = new Set<Hunt>();
    // Without descriptors nothing is seen: that is not the same as nothing being there.
    const seen = await processesWith(MARKER_VARIABLE, usersOf(present)).catch(() => undefined);
    for (const { stat, value } of seen ?? []) {
      const marker = parseMarker(value);
      const hunt = marker && present.find((one) => one.meant(marker));
      if (hunt === undefined || !killSeen(stat)) continue;
      hunt.killed.add(`${stat.pid}-${stat.start}`);
      left.add(hunt);
    }
    for (const hunt of present) {
      if ((seen === undefined || left.has(hunt)) && ++hunt.rounds < MOST_ROUNDS) continue;
      hunts.delete(hunt);
      hunt.done();
    }
    if (hunts.size > 0) await settle();
  }
  looking = false;
}

function usersOf(present: readonly Hunt[]): ReadonlySet<number> | undefined {
  const uids = present.map(({ uid }) => uid);
  return uids.includes(undefined) ? undefined : new Set(uids as number[]);
}

/** A killed process leaves /proc, or turns into a zombie, a moment after the signal. */
function settle(): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, 5); });
}
