/**
 * `workspace.yaml`: what a CLI server keeps about a session besides its events. The runtime reads it
 * strictly: one value of a wrong type, and the whole file counts for nothing (measured, 1.0.85).
 */
import { parse, stringify } from 'yaml';
import { ENOENT, readText } from './reading.js';
import type { SessionFiles } from '../store/session-files.js';

export const WORKSPACE = '/workspace.yaml';

export interface Workspace {
  readonly cwd?: string;
  readonly git_root?: string;
  readonly repository?: string;
  readonly host_type?: string;
  readonly branch?: string;
  readonly client_name?: string;
  readonly name?: string;
  readonly user_named?: boolean;
  readonly summary_count?: number;
  readonly fork_count?: number;
  readonly remote_steerable?: boolean;
  readonly mc_task_id?: string;
  readonly created_at?: string;
  readonly updated_at?: string;
}

const TYPES: { readonly [key: string]: (value: unknown) => boolean } = {
  id: isText, cwd: isText, git_root: isText, repository: isText, branch: isText, client_name: isText, name: isText,
  mc_task_id: isText,
  host_type: (value) => value === 'github' || value === 'ado',
  user_named: isFlag, remote_steerable: isFlag,
  summary_count: isCount, fork_count: isCount,
  created_at: isTime, updated_at: isTime,
};

/** What the file says; nothing when the runtime would not read it. */
export function parseWorkspace(text: string): Workspace {
  let value: unknown;
  try {
    value = parse(text, { logLevel: 'error' });
  } catch {
    return {};
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  const sound = Object.entries(value).every(([key, one]) => !Object.hasOwn(TYPES, key) || TYPES[key]!(one));
  return sound ? value : {};
}

/** Nothing when there is no such file. */
export async function readWorkspace(files: SessionFiles, sessionId: string): Promise<Workspace> {
  const text = await readText(files, sessionId, WORKSPACE);
  return text === ENOENT ? {} : parseWorkspace(text);
}

/** The name, if it has any; blanks are none. */
export function nameOf({ name }: Workspace): string | undefined {
  return name === undefined || name.trim() === '' ? undefined : name;
}

/**
 * The file of a fork. What ties the source to a remote task does not come along.
 * @param summaries checkpoints that the fork has
 * @param now ISO 8601
 */
export function forkedWorkspace(
  source: Workspace,
  fork: { readonly id: string; readonly name: string; readonly named: boolean; readonly summaries: number; readonly now: string },
): string {
  const { cwd, git_root, repository, host_type, branch, client_name } = source;
  return stringify({
    id: fork.id, cwd, git_root, repository, host_type, branch, client_name,
    name: fork.name, user_named: fork.named, summary_count: fork.summaries, fork_count: 0,
    created_at: fork.now, updated_at: fork.now,
  }, { lineWidth: 0 });
}

/** The text with one more fork counted, everything else as it was; as it came when it is not to be read. */
export function countFork(text: string): string {
  const count = parseWorkspace(text).fork_count;
  const line = /^fork_count:.*$/m;
  if (count !== undefined) return text.replace(line, `fork_count: ${count + 1}`);
  return line.test(text) || !/^cwd:/m.test(text) ? text : `${text.trimEnd()}\nfork_count: 1\n`;
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function isFlag(value: unknown): boolean {
  return typeof value === 'boolean';
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}
