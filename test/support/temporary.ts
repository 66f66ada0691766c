/**
 * Temporary directories, and the managed servers that work in them. Whoever makes one removes it; what is
 * left when this process ends, as after a test that timed out, goes then.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MARKER_VARIABLE, parseMarker } from '../../proxy/fleet/marker.js';
import { isAlive, killSeen, processStat, type ProcessStat } from '../../proxy/fleet/processes.js';
import './process-group.js';

const directories = new Set<string>();
// After that of process-group.ts: by now no Skyport starts another server.
process.on('exit', () => {
  for (const directory of directories) {
    try {
      killServersIn(directory);
      rmSync(directory, { recursive: true, force: true });
    } catch {
      // One that cannot be removed does not keep the others.
    }
  }
});

/** Makes a directory. @param prefix of its name */
export function temporary(prefix: string): string {
  const directory = mkdtempSync(path.join(tmpdir(), prefix));
  directories.add(directory);
  return directory;
}

/**
 * Ends the managed servers of a Skyport whose `store.path` is `data` in the directory, or of a fleet in
 * `servers`, with all that they started.
 * @returns how many processes there were, when they are gone
 */
export async function endServersIn(directory: string): Promise<number> {
  const ended = new Map<number, ProcessStat>();
  for (;;) {
    // One that forks may have got a child between the look at it and its end.
    const killed = killServersIn(directory);
    if (killed.length === 0) break;
    for (const stat of killed) ended.set(stat.pid, stat);
    while (killed.some(({ pid, start }) => isAlive(pid, start))) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return ended.size;
}

/** Removes a directory, once what worked in it has been ended. */
export async function removeTemporary(directory: string): Promise<void> {
  await endServersIn(directory);
  rmSync(directory, { recursive: true, force: true });
  directories.delete(directory);
}

/** Found as Skyport finds its orphans: by their mark, which names the fleet of that very directory. */
function killServersIn(directory: string): ProcessStat[] {
  const fleets = ['servers', 'data/servers'].flatMap((place) => fleetOf(path.join(directory, place, 'fleet.id')) ?? []);
  if (fleets.length === 0 || !existsSync('/proc')) return [];
  return readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)).flatMap((entry) => {
    const stat = processStat(Number(entry));
    const mark = stat && parseMarker(markOf(stat.pid));
    return stat !== undefined && mark !== undefined && fleets.includes(mark.fleet) && killSeen(stat) ? [stat] : [];
  });
}

function fleetOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function markOf(pid: number): string {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    return entries.find((entry) => entry.startsWith(`${MARKER_VARIABLE}=`))?.slice(MARKER_VARIABLE.length + 1) ?? '';
  } catch {
    return '';
  }
}
