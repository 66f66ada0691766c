/**
 * What the demo is played on: `skyport start` as a process of its own, with a config, tokens, data and
 * workspaces in a temporary directory. Everything is gone again after `clear`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, sep } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { SessionRow } from '../admin/actions.js';
import { adminCall } from '../admin/client.js';
import { newToken, tokenEntry } from '../identity/token.js';
import type { BackendSnapshot, Snapshot } from '../observe/snapshot.js';
import { BrokenStory } from './teller.js';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));

/** Milliseconds between two looks at Skyport's status. */
const LOOK_INTERVAL = 25;
/** Milliseconds Skyport has to stop, before it is killed. */
const STOP_TIME = 10_000;
/** Lines of Skyport's log that are kept to be shown when the story breaks. */
const LOG_KEPT = 25;

/** The wait before a killed server is started again. */
const RESTART_WAIT = '1s';

export class Stage {
  readonly directory = mkdtempSync(join(tmpdir(), 'skyport-demo-'));
  /** The newest lines of Skyport's log. */
  readonly log: string[] = [];
  /** Client connections that have ended, for whatever reason. */
  disconnects = 0;
  private readonly tokens = new Map<string, string>();
  /** Of the managed servers, as of the last look. */
  private pids: number[] = [];
  private skyport: ChildProcess | undefined;
  private listening: string | undefined;

  /** Starts Skyport with `servers` managed CLI servers and a token for each user; returns when all are up. */
  async set(servers: number, users: readonly string[]): Promise<void> {
    this.writeFiles(servers, users);
    // A group of its own: Ctrl-C is for the demo, which then stops Skyport in order.
    const child = spawn(process.execPath, [MAIN, 'start', '--config', join(this.directory, 'skyport.yaml')], {
      cwd: this.directory, detached: true, stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.skyport = child;
    child.on('error', (error) => this.log.push(error.message));
    for (const stream of [child.stdout!, child.stderr!]) createInterface(stream).on('line', (line) => this.read(line));
    await this.until('all servers are up', async () => {
      if (this.listening === undefined) return false;
      const backends = await this.backends();
      return backends.length === servers && backends.every(({ state }) => state === 'up');
    });
  }

  /** `host:port` for SDK clients. */
  get address(): string {
    return this.listening!;
  }

  token(user: string): string {
    return this.tokens.get(user)!;
  }

  async status(): Promise<Snapshot> {
    const snapshot = await adminCall<Snapshot>(this.socket, 'GET', 'status');
    this.pids = snapshot.backends.flatMap(({ pid }) => pid ?? []);
    return snapshot;
  }

  async backends(): Promise<BackendSnapshot[]> {
    return (await this.status()).backends;
  }

  async backend(name: string): Promise<BackendSnapshot> {
    const found = (await this.backends()).find((backend) => backend.name === name);
    if (!found) throw new BrokenStory(`there is no backend ${name}`);
    return found;
  }

  /** The name of the backend that a session lives on. */
  async homeOf(sessionId: string): Promise<string> {
    const rows = await adminCall<SessionRow[]>(this.socket, 'GET', 'sessions');
    const row = rows.find(({ id }) => id === sessionId);
    if (!row) throw new BrokenStory(`Skyport does not know the session ${sessionId}`);
    return row.backend;
  }

  /** Sessions whose history is in Skyport's store. */
  kept(): number {
    return this.files('data', 'sessions').filter((file) => basename(file) === 'events.jsonl').length;
  }

  /** Files of sessions that the servers have kept for themselves, in their own homes. */
  keptByServers(): string[] {
    return this.files('data', 'servers').filter((file) => file.includes(`${sep}session-state${sep}`));
  }

  private files(...below: string[]): string[] {
    const entries = readdirSync(join(this.directory, ...below), { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  }

  /** Looks until it is so. @param what completes "waited in vain until …" */
  async until(what: string, isSo: () => Promise<boolean>, ms = 15_000): Promise<void> {
    const deadline = Date.now() + ms;
    for (;;) {
      const { exitCode, signalCode } = this.skyport ?? {};
      if (exitCode !== null || signalCode !== null) throw new BrokenStory(`Skyport ended (${exitCode ?? signalCode})`);
      if (await isSo()) return;
      if (Date.now() > deadline) throw new BrokenStory(`waited in vain until ${what}`);
      await sleep(LOOK_INTERVAL);
    }
  }

  /** Stops Skyport and its servers and removes the directory. @returns the pids that are still alive: none */
  async clear(): Promise<number[]> {
    const child = this.skyport;
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_TIME);
      await gone;
      clearTimeout(late);
    }
    const left = this.pids.filter(isAlive);
    // Each managed server leads a process group.
    for (const pid of left) kill(-pid);
    rmSync(this.directory, { recursive: true, force: true });
    return left;
  }

  private get socket(): string {
    return join(this.directory, 'data', 'skyport.sock');
  }

  private writeFiles(servers: number, users: readonly string[]): void {
    const entries = users.map((user) => {
      const { token, sha256 } = newToken();
      this.tokens.set(user, token);
      return tokenEntry(user, sha256);
    });
    writeFileSync(join(this.directory, 'tokens.yaml'), entries.join(''), { mode: 0o600 });
    writeFileSync(join(this.directory, 'skyport.yaml'), stringify({
      listen: [{ tcp: '127.0.0.1:0' }],
      identity: { tokens_file: './tokens.yaml' },
      fleet: {
        count: servers, env: { COPILOT_OFFLINE: 'true' }, working_directory: './workspaces',
        restart_backoff: { min: RESTART_WAIT },
      },
      routing: { policy: 'round_robin' },
      store: { path: './data' },
      shutdown: { drain: '2s' },
    }));
  }

  private read(line: string): void {
    this.log.push(line);
    if (this.log.length > LOG_KEPT) this.log.shift();
    if (!line.startsWith('{')) return;
    const { event, address } = JSON.parse(line) as { event?: string; address?: string };
    if (event === 'listening') this.listening = address;
    if (event === 'client_closed') this.disconnects++;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A process or group that is already gone is not an error. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone.
  }
}
