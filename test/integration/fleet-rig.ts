/** A fleet in a directory of its own, what it reported, and what is left of its processes. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processStat } from '../../proxy/fleet/processes.js';
import { Fleet, type FleetEvents, type FleetOptions } from '../../proxy/fleet/supervisor.js';
import type { ReadyServer } from '../../proxy/fleet/member.js';

export class FleetRig {
  readonly directory = mkdtempSync(join(tmpdir(), 'skyport-fleet-'));
  readonly ready: ReadyServer[] = [];
  readonly gone: { name: string; reason: string }[] = [];
  readonly failed: { name: string; reason: string; retryIn: number }[] = [];
  readonly removed: string[] = [];
  readonly lines: string[] = [];
  orphansEnded = 0;
  #options: FleetOptions;
  #fleet: Fleet | undefined;

  constructor(over: Partial<FleetOptions> = {}) {
    this.#options = {
      count: 1, env: { COPILOT_OFFLINE: 'true' }, directory: join(this.directory, 'servers'),
      startTimeout: 15_000, stopTimeout: 5_000, restartBackoff: { min: 20, max: 200 }, ...over,
    };
  }

  get fleet(): Fleet {
    this.#fleet ??= new Fleet(this.#options, this.#events());
    return this.#fleet;
  }

  start(): Fleet {
    this.fleet.start();
    return this.fleet;
  }

  update(over: Partial<FleetOptions>): void {
    this.#options = { ...this.#options, ...over };
    this.fleet.update(this.#options);
  }

  /** Waits for the `n`th time, from 1, that the server is ready. */
  async readyAgain(name: string, n = 1): Promise<ReadyServer> {
    await until(() => this.ready.filter((server) => server.name === name).length >= n, `${name} ready for the ${n}. time`);
    return this.ready.filter((server) => server.name === name)[n - 1]!;
  }

  /** A program to run instead of the real server: a Node script, its arguments as `process.argv`. */
  script(name: string, source: string): string[] {
    const file = join(this.directory, name);
    writeFileSync(file, source);
    chmodSync(file, 0o755);
    return [process.execPath, file];
  }

  async close(): Promise<void> {
    await this.#fleet?.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #events(): FleetEvents {
    return {
      onReady: (server) => this.ready.push(server),
      onGone: (name, reason) => this.gone.push({ name, reason }),
      onStartFailed: (name, reason, retryIn) => this.failed.push({ name, reason, retryIn }),
      onRemoved: (name) => this.removed.push(name),
      onLine: (name, stream, line) => this.lines.push(`${name} ${stream}: ${line}`),
      onOrphansEnded: (processes) => { this.orphansEnded = processes; },
    };
  }
}

/** Lines for `FleetRig.script`: says that it listens, and goes on until it is ended. */
export const LISTENING = `console.log('CLI server listening on port 4321'); setInterval(() => {}, 1000);`;

/** Whether a process runs; one that is dead but not yet reaped does not. */
export function isRunning(pid: number): boolean {
  const stat = processStat(pid);
  return stat !== undefined && stat.state !== 'Z' && stat.state !== 'X';
}

/** What a process was started with. */
export function environmentOf(pid: number): Record<string, string> {
  const pairs = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter((pair) => pair !== '');
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

/** Polls until the condition holds; fails with `what` if it never does. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}

type Answer = { id: number; result?: Record<string, unknown>; error?: { code: number; message: string } };

/** Sends requests over one new connection and gives their answers in the same order. */
export async function ask(port: number, ...requests: { method: string; params: object }[]): Promise<Answer[]> {
  const socket = net.connect(port, '127.0.0.1').setNoDelay(true);
  const answers = new Map<number, Answer>();
  let waiting = Buffer.alloc(0);
  const done = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed by the server')));
    socket.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk]);
      for (;;) {
        const header = /^Content-Length: (\d+)\r\n\r\n/.exec(waiting.toString('latin1'));
        const end = header === null ? Infinity : header[0].length + Number(header[1]);
        if (waiting.length < end) break;
        const message = JSON.parse(waiting.toString('utf8', header![0].length, end)) as Answer;
        waiting = waiting.subarray(end);
        if (!('method' in message)) answers.set(message.id, message);
      }
      if (answers.size === requests.length) resolve();
    });
  });
  requests.forEach((request, id) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id, ...request });
    socket.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  });
  await done.finally(() => socket.destroy());
  return requests.map((_, id) => answers.get(id)!);
}
