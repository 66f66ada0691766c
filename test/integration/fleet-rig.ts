/** A fleet in a directory of its own, what it reported, and what is left of its processes. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { processStat } from '../../proxy/fleet/processes.js';
import { Fleet, type FleetEvents, type FleetOptions } from '../../proxy/fleet/supervisor.js';
import type { MemberStatus, ReadyServer } from '../../proxy/fleet/member.js';
import type { TenantOptions } from '../../proxy/fleet/options.js';
import type { Use } from '../../proxy/fleet/tenants.js';
import { removeTemporary, temporary } from '../support/temporary.js';

export class FleetRig {
  readonly directory: string;
  readonly ready: ReadyServer[] = [];
  readonly gone: { name: string; reason: string }[] = [];
  /** The runs that are gone, in the same order. */
  readonly goneRuns: number[] = [];
  readonly succeeded: { server: ReadyServer; reason: string }[] = [];
  readonly failed: { name: string; reason: string; retryIn: number }[] = [];
  readonly removed: string[] = [];
  readonly removedFor: string[] = [];
  /** What sessions tell of servers, by name. */
  readonly use = new Map<string, Use>();
  /** Servers that are to go are ended at once, as if they had no sessions. */
  drainsAtOnce = false;
  readonly lines: string[] = [];
  orphansEnded = 0;
  #options: FleetOptions;
  #fleet: Fleet | undefined;

  constructor(over: Partial<FleetOptions> = {}, directory = temporary('skyport-fleet-')) {
    this.directory = directory;
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

  /** The user's server. @throws when it is refused */
  async claim(user: string): Promise<ReadyServer> {
    const claim = await this.fleet.claim(user);
    if ('refused' in claim) throw new Error(`${user}: ${claim.refused}, ${claim.reason}`);
    return this.ready.findLast((server) => server.name === claim.name)!;
  }

  status(name: string): MemberStatus {
    const found = this.fleet.list().find((member) => member.name === name);
    if (found === undefined) throw new Error(`no ${name}`);
    return found;
  }

  /** Another fleet on the same directory, as after a restart of Skyport. */
  successor(): FleetRig {
    return new FleetRig(this.#options, this.directory);
  }

  async close(): Promise<void> {
    await this.#fleet?.stop();
    await removeTemporary(this.directory);
  }

  #events(): FleetEvents {
    return {
      onReady: (server) => this.ready.push(server),
      onGone: (name, reason, run) => {
        this.gone.push({ name, reason });
        this.goneRuns.push(run);
      },
      onSucceeded: (server, reason) => this.succeeded.push({ server, reason }),
      use: (name) => this.use.get(name) ?? { busy: false, usedAt: 0 },
      onStartFailed: (name, reason, retryIn) => this.failed.push({ name, reason, retryIn }),
      onRemoved: (name, reason) => {
        this.removed.push(name);
        this.removedFor.push(reason);
        if (this.drainsAtOnce) void this.fleet.retire(name);
      },
      onLine: (name, stream, line) => this.lines.push(`${name} ${stream}: ${line}`),
      onOrphansEnded: (processes) => { this.orphansEnded = processes; },
    };
  }
}

/** Options of a fleet whose users have servers of their own, and no spares. */
export function tenants(over: Partial<TenantOptions> = {}): Partial<FleetOptions> {
  return { count: 0, tenants: { maxServers: 10, spares: 0, idleStop: 3_600_000, wait: 20_000, waiting: 100, users: {}, ...over } };
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

/** A fleet of users' servers that runs; one that is to go is drained at once. */
export function startTenants(over: Parameters<typeof tenants>[0], more: ConstructorParameters<typeof FleetRig>[0]): FleetRig {
  const rig = new FleetRig({ ...tenants(over), ...more });
  rig.drainsAtOnce = true;
  rig.start();
  return rig;
}
