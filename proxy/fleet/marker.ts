/**
 * The mark that every process of a managed server carries in its environment, and by which it is found
 * when nothing else leads to it any more:
 *
 *   SKYPORT_MANAGED=<fleet>/<parent pid>-<parent start>/<server>
 *
 * fleet   random, made once for a servers directory: another Skyport's processes are never meant
 * parent  the Skyport that started it; with its start time, since pids are used again
 * server  managed-1 …
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processStat } from './processes.js';

export const MARKER_VARIABLE = 'SKYPORT_MANAGED';

export interface Marker {
  readonly fleet: string;
  readonly parentPid: number;
  /** In clock ticks since boot; 0 where there is no /proc. */
  readonly parentStart: number;
  readonly server: string;
}

export function formatMarker(marker: Marker): string {
  return `${marker.fleet}/${marker.parentPid}-${marker.parentStart}/${marker.server}`;
}

/** @returns undefined for a value that is not a marker */
export function parseMarker(value: string): Marker | undefined {
  const match = /^([0-9a-f]{32})\/(\d{1,10})-(\d{1,15})\/([A-Za-z0-9._-]{1,64})$/.exec(value);
  if (match === null) return undefined;
  return { fleet: match[1]!, parentPid: Number(match[2]), parentStart: Number(match[3]), server: match[4]! };
}

/** The mark of this process's servers. */
export function ownMarker(fleet: string, server: string): Marker {
  return { fleet, parentPid: process.pid, parentStart: processStat(process.pid)?.start ?? 0, server };
}

/**
 * The fleet's name, read from the servers directory or made there.
 * @throws the file system's error when the directory cannot be written
 */
export function fleetId(directory: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'fleet.id');
  const read = () => {
    const text = readFileSync(file, 'utf8').trim();
    return /^[0-9a-f]{32}$/.test(text) ? text : undefined;
  };
  try {
    writeFileSync(file, `${randomBytes(16).toString('hex')}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const existing = read();
  if (existing !== undefined) return existing;
  // Torn by a crash in the middle of the first write.
  writeFileSync(file, `${randomBytes(16).toString('hex')}\n`, { mode: 0o600 });
  return read()!;
}
