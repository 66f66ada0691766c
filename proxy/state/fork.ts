/**
 * sessions.fork on the files that Skyport keeps, as the runtime does it on its disk (measured, 1.0.85):
 * the events keep their ids; the first one names the new session, a last one says where it comes from.
 * Unlike the runtime's, it leaves the history of a source that is not loaded as it is.
 */
import { randomUUID } from 'node:crypto';
import type { Lease, SessionFiles } from '../store/session-files.js';
import { ENOENT, EVENTS, isGarbage, linesOf, readText, type Line, type StoredEvent } from './reading.js';
import { summaryOf } from './listing.js';
import { countFork, forkedWorkspace, nameOf, parseWorkspace, WORKSPACE } from './workspace.js';

/** What comes along besides events and workspace. */
const TREES = ['/checkpoints', '/files', '/research'];
const SINGLE = ['/plan.md', '/client-metadata.json', '/autopilot-objective.json'];

const MAX_NAME = 100;

export interface ForkAsk {
  /** The fork holds the events before this one. */
  readonly toEventId?: string;
  readonly name?: string;
  /** The source's events, where its server has them in memory only. */
  readonly unsaved?: readonly StoredEvent[];
}

/** A fork that can be made: all of the source that it needs has been read. */
export interface ForkPlan {
  readonly name: string;
  /** The message of the event that tells the source of its fork. */
  readonly note: string;
  /** The name was made up from the source's, which counts such forks. */
  readonly counts: boolean;
  /** Ids of the source's events that the fork has as well. */
  readonly ids: readonly unknown[];
  readonly files: ReadonlyMap<string, string>;
}

/** `params`: the caller's mistake; `missing`: there is nothing to fork; `damaged`: it cannot be read. Texts are the runtime's. */
export interface ForkFault {
  readonly fault: 'params' | 'missing' | 'damaged';
  readonly message: string;
}

export function isForkFault(value: ForkPlan | ForkFault): value is ForkFault {
  return 'fault' in value;
}

/** Why a name is not one; undefined when it is, or when none is given. */
export function nameFault(name: unknown): string | undefined {
  if (typeof name !== 'string') return undefined;
  if (name === '') return 'Session name cannot be empty.';
  if (name.trim() !== name) return 'Session name must not have leading or trailing whitespace.';
  return [...name].length > MAX_NAME ? `Session name must be ${MAX_NAME} characters or less.` : undefined;
}

/** @param id of the new session */
export async function planFork(files: SessionFiles, source: string, id: string, ask: ForkAsk, now = new Date()): Promise<ForkPlan | ForkFault> {
  const wrong = nameFault(ask.name);
  if (wrong !== undefined) return { fault: 'params', message: wrong };
  const [text, yaml] = await Promise.all([readText(files, source, EVENTS), readText(files, source, WORKSPACE)]);
  const lines = text === ENOENT ? (ask.unsaved ?? []).map((event) => ({ text: JSON.stringify(event), event })) : linesOf(text);
  if (isGarbage(lines)) return { fault: 'damaged', message: `Failed to load session events: line ${lines.garbage} is not valid` };
  if (lines.length === 0) return { fault: 'missing', message: `Cannot fork session ${source}: no persisted or in-memory events found` };
  const kept = cut(lines, source, ask.toEventId);
  if (!Array.isArray(kept)) return kept;

  const workspace = yaml === ENOENT ? {} : parseWorkspace(yaml);
  const named = nameOf(workspace);
  const name = ask.name ?? numbered(named ?? firstMessage(lines) ?? `Session ${source}`, workspace.fork_count ?? 0);
  const summaries = ask.toEventId === undefined ? workspace.summary_count ?? 0 : summariesIn(kept);
  const before = ask.toEventId === undefined ? '' : ` before event ${ask.toEventId}`;
  const from = named === undefined ? source : `"${named}" (${source})`;

  const copies = await copied(files, source);
  if (ask.toEventId !== undefined) truncateCheckpoints(copies, summaries);
  const time = now.toISOString();
  copies.set(EVENTS, history(kept, id, time, `Forked from ${from}${before} as "${name}" (${id}).`));
  copies.set(WORKSPACE, forkedWorkspace(workspace, { id, name, named: ask.name !== undefined, summaries, now: time }));
  return { name, note: `Forked this session into "${name}" (${id})${before}.`, counts: ask.name === undefined, ids: kept.map(({ event }) => event.id), files: copies };
}

/** Writes the fork's files; the events last, so that a half of it is no session. */
export async function writeFork(files: SessionFiles, plan: ForkPlan, lease: Lease): Promise<void> {
  for (const [path, content] of plan.files) if (path !== EVENTS) await files.writeFile(lease, path, content);
  await files.writeFile(lease, EVENTS, plan.files.get(EVENTS)!);
}

/** Counts the fork in the source's workspace. */
export async function noteFork(files: SessionFiles, plan: ForkPlan, source: Lease): Promise<void> {
  if (!plan.counts) return;
  const yaml = await readText(files, source.sessionId, WORKSPACE);
  if (yaml !== ENOENT) await files.writeFile(source, WORKSPACE, countFork(yaml));
}

/** Tells the history of a source that no server has loaded of its fork. */
export async function appendNote(files: SessionFiles, plan: ForkPlan, source: Lease): Promise<void> {
  const text = await readText(files, source.sessionId, EVENTS);
  // After a line that was cut off, nothing may come but the rest of it.
  if (text === ENOENT || !text.endsWith('\n')) return;
  const lines = linesOf(text);
  if (isGarbage(lines)) return;
  const parentId = lines.at(-1)?.event.id ?? null;
  const note = { type: 'session.info', data: info(plan.note), id: randomUUID(), timestamp: new Date().toISOString(), parentId };
  await files.appendFile(source, EVENTS, `${JSON.stringify(note)}\n`);
}

/** The events before one; all without one. */
function cut(lines: readonly Line[], source: string, toEventId: string | undefined): Line[] | ForkFault {
  if (toEventId === undefined) return [...lines];
  const at = lines.findIndex(({ event }) => event.id === toEventId);
  if (at < 0) return { fault: 'params', message: `Event ${toEventId} not found in session ${source}` };
  if (at === 0) return { fault: 'params', message: 'Cannot fork: truncation to the specified event would result in an empty session' };
  return lines.slice(0, at);
}

function history(lines: readonly Line[], id: string, now: string, message: string): string {
  const texts = lines.map(({ text, event }) => (event.type === 'session.start' ? JSON.stringify(started(event, id, now)) : text));
  const parentId = lines.at(-1)!.event.id ?? null;
  texts.push(JSON.stringify({ type: 'session.info', id: randomUUID(), timestamp: now, parentId, data: info(message) }));
  return `${texts.join('\n')}\n`;
}

function started(event: StoredEvent, sessionId: string, now: string): StoredEvent {
  const { remoteSteerable, ...data } = (event.data ?? {}) as Record<string, unknown>;
  return { ...event, data: { ...data, sessionId, startTime: now, alreadyInUse: false }, timestamp: now };
}

function info(message: string): object {
  return { infoType: 'fork', message };
}

function firstMessage(lines: readonly Line[]): string | undefined {
  for (const { event } of lines) {
    const { content } = (event.data ?? {}) as { content?: unknown };
    if (event.type === 'user.message' && typeof content === 'string' && content.trim() !== '') return summaryOf(content);
  }
  return undefined;
}

/** `NAME (fork)`, `NAME (fork 2)`…; the name in one line and cut so that it fits. */
function numbered(name: string, forks: number): string {
  const suffix = forks === 0 ? ' (fork)' : ` (fork ${forks + 1})`;
  const base = [...name.replace(/\s+/g, ' ').trim()].slice(0, MAX_NAME - suffix.length).join('').trim();
  return base + suffix;
}

/** The checkpoints that these events have made. */
function summariesIn(lines: readonly Line[]): number {
  const numbers = lines.map(({ event }) => {
    const { checkpointNumber } = (event.data ?? {}) as { checkpointNumber?: unknown };
    return event.type === 'session.compaction_complete' && typeof checkpointNumber === 'number' ? checkpointNumber : 0;
  });
  return Math.max(0, ...numbers);
}

async function copied(files: SessionFiles, source: string): Promise<Map<string, string>> {
  const copies = new Map<string, string>();
  for (const path of SINGLE) {
    const text = await readText(files, source, path);
    if (text !== ENOENT) copies.set(path, text);
  }
  for (const tree of TREES) await copyTree(files, source, tree, copies);
  return copies;
}

async function copyTree(files: SessionFiles, source: string, path: string, copies: Map<string, string>): Promise<void> {
  if (!(await files.exists(source, path))) return;
  for (const { name, type } of await files.readdir(source, path)) {
    const inner = `${path}/${name}`;
    if (type === 'directory') await copyTree(files, source, inner, copies);
    else copies.set(inner, await files.readFile(source, inner));
  }
}

const INDEX = '/checkpoints/index.md';

/** Drops the checkpoints after the first `keep`: their rows in the index (`| 2 | Title | 002-title.md |`) and their files. */
function truncateCheckpoints(copies: Map<string, string>, keep: number): void {
  const index = copies.get(INDEX);
  const kept = new Set([INDEX]);
  if (index !== undefined) {
    const rows = index.split('\n').filter((row) => {
      const [, number, file] = /^\| (\d+) \|.*\| (\S+) \|$/.exec(row) ?? [];
      if (number === undefined) return true;
      if (Number(number) <= keep) kept.add(`/checkpoints/${file}`);
      return Number(number) <= keep;
    });
    copies.set(INDEX, rows.join('\n'));
  }
  for (const path of copies.keys()) if (path.startsWith('/checkpoints/') && !kept.has(path)) copies.delete(path);
}
