/** What is left of a bench that is ended: its module runs in a process of its own, below a shell, as `npm run` starts it. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const FILES = ['bench/ending', 'test/support/process-group'];

/** Starts a child in a group of its own and has a directory, tells both, and waits. */
const PROGRAM = `
import { spawn } from 'node:child_process';
import { directoryOfTheRun, endWithParent } from './bench/ending.js';
import { leadsGroup } from './test/support/process-group.js';
endWithParent();
const child = spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)'], { detached: true, stdio: 'ignore' });
leadsGroup(child);
console.log(JSON.stringify({ pid: process.pid, child: child.pid, directory: directoryOfTheRun() }));
setInterval(() => 0, 1000);
`;

let place: string;
beforeEach(() => {
  place = mkdtempSync(path.join(tmpdir(), 'skyport-ending-'));
  writeFileSync(path.join(place, 'package.json'), '{"type":"module"}');
  writeFileSync(path.join(place, 'program.js'), PROGRAM);
  for (const file of FILES) {
    const { outputText } = ts.transpileModule(readFileSync(path.join(ROOT, `${file}.ts`), 'utf8'), { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 } });
    mkdirSync(path.dirname(path.join(place, file)), { recursive: true });
    writeFileSync(path.join(place, `${file}.js`), outputText);
  }
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

interface Started {
  readonly shell: number;
  readonly pid: number;
  readonly child: number;
  readonly directory: string;
}

async function started(): Promise<Started> {
  const shell = spawn('sh', ['-c', `true && "${process.execPath}" program.js; true`], { cwd: place, stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise<string>((resolve) => shell.stdout.once('data', (text: Buffer) => resolve(text.toString())));
  return { shell: shell.pid!, ...(JSON.parse(line) as Omit<Started, 'shell'>) };
}

/** It runs; one that has ended and that nobody has asked about yet does not. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function untilOver({ pid, child, directory }: Started): Promise<void> {
  while (runs(pid) || runs(child) || existsSync(directory)) await new Promise((resolve) => setTimeout(resolve, 20));
}

test.each(['SIGTERM', 'SIGINT'] as const)('a bench that gets %s takes its processes and directories with it', async (signal) => {
  const bench = await started();
  expect([runs(bench.child), existsSync(bench.directory)]).toEqual([true, true]);
  process.kill(bench.pid, signal);
  await untilOver(bench);
});

test('a bench whose shell is gone ends, too', async () => {
  const bench = await started();
  expect([runs(bench.child), existsSync(bench.directory)]).toEqual([true, true]);
  process.kill(bench.shell, 'SIGKILL');
  await untilOver(bench);
});
