import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach } from 'vitest';
import { loadConfig, type LoadOptions, type LoadResult } from '../../../config/load.js';

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A directory of its own for one test. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sky-'));
  directories.push(directory);
  return directory;
}

export function put(directory: string, name: string, text: string): string {
  const file = join(directory, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

/** Loads a configuration from its text. The first line of the text is line 1. */
export function load(text: string, env: NodeJS.ProcessEnv = {}, options: LoadOptions = {}): LoadResult {
  return loadConfig(put(scratch(), 'skyport.yaml', text), env, options);
}

/** `line:column severity key: message (found …; allowed …)` of each problem, without the file. */
export function told(result: LoadResult): string[] {
  return result.problems.map((p) => {
    const found = p.found === undefined ? '' : ` [${p.found}]`;
    return `${p.line}:${p.column} ${p.severity} ${p.key}: ${p.message}${found}`;
  });
}

/** A file without problems, to which tests add. */
export const MINIMAL = 'identity: { anonymous: local }\nfleet: { count: 1 }\n';
