/** A server in a few words, for the tables of `skyport status` and `skyport top`. */
import type { BackendSnapshot } from '../observe/snapshot.js';
import { span } from './table.js';

export function stateText({ state, draining, drained, restarting }: BackendSnapshot): string {
  if (restarting) return `${state}, restarting`;
  if (drained) return `${state}, drained`;
  return draining ? `${state}, draining` : state;
}

/** What is particular about a server now; '' when nothing is. */
export function noteOf(server: BackendSnapshot, now: number): string {
  const { canary, crashLoop, outdated, renewing, predecessor, recycleReason, renewFailed, drainingSince, sessionsStaying } = server;
  const notes: string[] = [];
  if (crashLoop) notes.push('keeps dying');
  if (canary) notes.push('canary');
  if (renewing) notes.push('being replaced');
  if (predecessor) notes.push('replaced');
  if (recycleReason !== undefined) notes.push(recycleReason);
  else if (outdated) notes.push('outdated');
  if (renewFailed !== undefined) notes.push(`not replaced: ${renewFailed}`);
  if (drainingSince !== undefined) notes.push(`draining for ${span(now - drainingSince)}`);
  if (sessionsStaying) notes.push(`${sessionsStaying} at work in the background`);
  return notes.join(', ');
}
