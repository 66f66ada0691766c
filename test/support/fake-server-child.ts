/**
 * The fake CLI server in a process of its own, for benchmarks: its work must not be counted as Skyport's.
 * The sources are transpiled into a temporary directory, since node 20 does not run TypeScript.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import type { FakeServerOptions } from './fake-server.js';
import { leadsGroup, signalGroup } from './process-group.js';
import { removeTemporary, temporary } from './temporary.js';

const SOURCES = ['framing', 'fake-stream', 'gate', 'fake-server'];

const LAUNCHER = `
import { FakeServer } from './fake-server.js';
const fake = await FakeServer.start({ record: false, ...JSON.parse(process.argv[2]) });
process.on('message', () => process.send({ open: fake.open, turnedAway: fake.turnedAway, overlaps: fake.overlaps }));
process.on('disconnect', () => process.exit(0));
process.send({ port: fake.port });
`;

export interface FakeServerStats {
  readonly open: number;
  readonly turnedAway: number;
  readonly overlaps: readonly string[];
}

export class FakeServerChild {
  private constructor(private readonly child: ChildProcess, private readonly directory: string, readonly port: number) {}

  static async start(options: FakeServerOptions = {}): Promise<FakeServerChild> {
    const directory = temporary('skyport-fake-');
    writeFileSync(path.join(directory, 'package.json'), '{"type":"module"}');
    for (const name of SOURCES) {
      const source = readFileSync(fileURLToPath(new URL(`./${name}.ts`, import.meta.url)), 'utf8');
      const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
      writeFileSync(path.join(directory, `${name}.js`), ts.transpileModule(source, { compilerOptions }).outputText);
    }
    writeFileSync(path.join(directory, 'launcher.js'), LAUNCHER);
    const child = fork(path.join(directory, 'launcher.js'), [JSON.stringify(options)], { detached: true, execArgv: [] });
    leadsGroup(child);
    const { port } = await message<{ port: number }>(child);
    return new FakeServerChild(child, directory, port);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.child.pid!;
  }

  async stats(): Promise<FakeServerStats> {
    const answer = message<FakeServerStats>(this.child);
    this.child.send('stats');
    return answer;
  }

  async stop(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.child.once('exit', () => resolve()));
    signalGroup(this.pid, 'SIGKILL');
    await gone;
    await removeTemporary(this.directory);
  }
}

function message<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('the fake server ended'));
    child.once('exit', ended);
    child.once('message', (value) => {
      child.off('exit', ended);
      resolve(value as T);
    });
  });
}
