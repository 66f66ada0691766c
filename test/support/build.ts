/**
 * Compiles the program once before any test file runs: the integration tests start what users start.
 * vitest.config.ts names this file as `globalSetup`. `SKYPORT_TARGET=direct` needs no program.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export function setup(): void {
  if (process.env.SKYPORT_TARGET === 'direct') return;
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  // The build info lies inside dist, so that a dist that was removed is compiled again.
  const args = [tsc, '-p', 'tsconfig.build.json', '--incremental', '--tsBuildInfoFile', path.join('dist', '.tsbuildinfo')];
  const build = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  if (build.status !== 0) throw new Error(`the build failed:\n${build.stdout}${build.stderr}`);
}
