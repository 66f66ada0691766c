/**
 * Ends what servers leave behind.
 *
 * - The shells that a server's tools start are in sessions of their own, so killing the server's
 *   process group does not reach them, and they outlive it (measured with 1.0.85).
 * - A Skyport that is killed with -9 leaves its servers running, on tokens that nobody knows any more
 *   and with session files that the next servers are about to open.
 *
 * Both are found by their marker, never by a name. A process that took the marker out of its
 * environment is not found; where that must not be, run the fleet in a container.
 */
import { MARKER_VARIABLE, parseMarker, type Marker } from './marker.js';
import { isAlive, killSeen, processesWith } from './processes.js';

/** A process that forks faster than it is killed is given up on after so many looks. */
const MOST_ROUNDS = 20;

/**
 * Kills the processes left by one server of this Skyport.
 * @returns how many were killed
 */
export function endServer(marker: Marker): Promise<number> {
  return endMarked(
    (found) => found.fleet === marker.fleet && found.server === marker.server
      && found.parentPid === marker.parentPid && found.parentStart === marker.parentStart,
  );
}

/**
 * Kills the servers of this fleet whose Skyport is gone. Those of a Skyport that is alive, this one
 * included, are left alone.
 * @returns how many processes were killed
 */
export function endOrphans(fleet: string): Promise<number> {
  return endMarked((found) => found.fleet === fleet && !isAlive(found.parentPid, found.parentStart));
}

async function endMarked(meant: (marker: Marker) => boolean): Promise<number> {
  const killed = new Set<string>();
  for (let round = 0; round < MOST_ROUNDS; round++) {
    let left = 0;
    for (const { stat, value } of await processesWith(MARKER_VARIABLE)) {
      const marker = parseMarker(value);
      if (marker === undefined || !meant(marker)) continue;
      if (!killSeen(stat)) continue;
      killed.add(`${stat.pid}-${stat.start}`);
      left++;
    }
    if (left === 0) break;
    await settle();
  }
  return killed.size;
}

/** A killed process leaves /proc, or turns into a zombie, a moment after the signal. */
function settle(): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, 5); });
}
