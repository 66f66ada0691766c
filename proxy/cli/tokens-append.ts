/** Adds an entry to a tokens file that a running Skyport, or a second command, may read at any moment. */
import {
  chownSync, closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { isSeq, parse, parseDocument } from 'yaml';
import { formatProblem } from '../../config/problem.js';
import { loadTokens } from '../identity/tokens-file.js';
import { CommandError } from './terminal.js';

/**
 * The new content is written beside the file as `FILE.new`, judged there, and renamed over it: a reader
 * sees the old file or the new one. `FILE.new` can be made only once, so it is the lock as well.
 * The file ends up with mode 0600 and the owner it had.
 * @param entry YAML of a list with one item
 * @throws CommandError when the file has mistakes, cannot be written or is being written
 */
export function appendEntry(file: string, entry: string): void {
  try {
    const target = targetOf(file);
    const next = `${target}.new`;
    const descriptor = openSync(next, 'wx', 0o600);
    try {
      writeNext(descriptor, next, target, entry);
      renameSync(next, target);
    } catch (error) {
      rmSync(next, { force: true });
      throw error;
    } finally {
      closeSync(descriptor);
    }
    syncDirectory(dirname(target));
  } catch (error) {
    throw explain(error, file);
  }
}

/** A link stays a link: what it points to is replaced. */
function targetOf(file: string): string {
  try {
    return realpathSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return file;
    throw error;
  }
}

function writeNext(descriptor: number, next: string, target: string, entry: string): void {
  const stat = statSync(target, { throwIfNoEntry: false });
  const old = stat === undefined ? '' : readFileSync(target, 'utf8');
  const before = stat === undefined ? 0 : entriesOf(target);
  for (const text of [appended(old, entry), edited(old, entry)]) {
    const bytes = Buffer.from(text);
    ftruncateSync(descriptor, 0);
    for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at, bytes.length - at, at);
    if (loadTokens(next).tokens?.entries.length === before + 1) {
      fsyncSync(descriptor);
      if (stat !== undefined && (stat.uid !== process.getuid?.() || stat.gid !== process.getgid?.())) {
        chownSync(next, stat.uid, stat.gid);
      }
      return;
    }
  }
  throw new CommandError(`${target}: the entry cannot be added to this file; print it without --append and add it by hand`);
}

function entriesOf(target: string): number {
  const { tokens, problems } = loadTokens(target);
  if (tokens !== undefined) return tokens.entries.length;
  throw new CommandError(`${problems.map(formatProblem).join('\n')}\nThe file was not changed.`);
}

/** Leaves every byte that is there alone; right for the usual block style. */
function appended(old: string, entry: string): string {
  return `${old}${old === '' || old.endsWith('\n') ? '' : '\n'}${entry}`;
}

/** For a file in flow style (`[]`) or one that is indented. Comments stay. */
function edited(old: string, entry: string): string {
  const document = parseDocument(old);
  if (!isSeq(document.contents)) return old;
  const [item] = parse(entry) as [unknown];
  document.add(document.createNode(item));
  return document.toString({ lineWidth: 0 });
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function explain(error: unknown, file: string): unknown {
  const { code, message, path } = error as NodeJS.ErrnoException;
  if (error instanceof CommandError || code === undefined) return error;
  if (code === 'EEXIST') return new CommandError(`${path ?? `${file}.new`} exists: another skyport token is at work; if none is, remove that file`);
  return new CommandError(`${file}: ${message}`);
}
