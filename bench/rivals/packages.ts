/** Debian packages of rivals: installed when that is possible, and nothing is started by it. */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';

/** Debian's way to say that services are not started when their packages are installed. */
const POLICY = '/usr/sbin/policy-rc.d';

let updated = false;

/** @returns why the program is not there */
export function install(program: string, packages: readonly string[]): string | undefined {
  if (found(program)) return undefined;
  const wanted = packages.join(' ');
  if (process.getuid?.() !== 0 || !found('apt-get')) return `not installed (Debian: apt-get install ${wanted})`;
  console.log(`installing ${wanted}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = !existsSync(POLICY);
  if (quiet) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    if (!updated) spawnSync('apt-get', ['update', '-qq'], { env, stdio: 'ignore', timeout: 60_000 });
    updated = true;
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env, stdio: 'ignore', timeout: 120_000 });
  } finally {
    if (quiet) rmSync(POLICY, { force: true });
  }
  return found(program) ? undefined : `apt-get install ${wanted} failed`;
}

function found(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore', env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin` } }).status === 0;
}
