/** What is measured: something that listens, and passes on to a backend what it is sent. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { leadsGroup, signalGroup } from '../../test/support/process-group.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Place {
  readonly backend: Address;
  /** Its own, for whatever it writes. */
  readonly directory: string;
  /** Tokens that clients will show; the sessions of each are a user's. */
  readonly tokens: readonly string[];
  /** URL of the Redis that it shares with others. */
  readonly redis?: string;
}

export interface Running {
  readonly address: Address;
  /** None when nothing is between client and backend. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

export interface Rival {
  readonly name: string;
  /** In the report. */
  readonly title: string;
  /** Events a second that it is given at most: more than it can pass on, and it would keep the rest in memory. */
  readonly most?: number;
  /** Has it installed if need be. @returns why it cannot be measured here */
  missing(): string | undefined;
  start(place: Place): Promise<Running>;
}

const RAISED = 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"';

/** Connections that a balancer can have between a client and the backend: each takes two open files. */
export function mostConnections(): number {
  const files = Number(execFileSync('sh', ['-c', `${RAISED}; ulimit -n`], { encoding: 'utf8' }));
  return Math.floor((files - 200) / 2);
}

/** A program with an open-file limit that is enough for 10,000 clients, where that is allowed. Its output goes to `log`. */
export function launch(command: readonly string[], directory: string): ChildProcess {
  const log = openSync(path.join(directory, 'log'), 'a');
  const child = spawn('sh', ['-c', `${RAISED}; exec "$@"`, 'sh', ...command], { detached: true, stdio: ['ignore', log, log], cwd: directory });
  leadsGroup(child);
  closeSync(log);
  return child;
}

export function logOf(directory: string): string {
  return readFileSync(path.join(directory, 'log'), 'utf8');
}

export async function halt(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  signalGroup(child.pid!, signal);
  const late = setTimeout(() => signalGroup(child.pid!, 'SIGKILL'), 10_000);
  await gone;
  clearTimeout(late);
}

/** Waits until somebody listens there. @throws with its log, when the program ended */
export async function listening(child: ChildProcess, address: Address, directory: string): Promise<void> {
  for (;;) {
    if (await accepts(address)) return;
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${logOf(directory)}`);
    await sleep(30);
  }
}

function accepts(address: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A port of loopback that nobody has. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
