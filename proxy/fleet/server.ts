/**
 * One run of one managed server: from the start of its process to the end of everything it started.
 *
 *   start() ─▶ starting ──"listening on port N"──▶ listening ─┐
 *                 │ start_timeout, kill, stop, died           │ kill, stop, died
 *                 └──────────────────────────▶ exited ◀───────┘
 *                                                │ its process group is killed, then what is
 *                                                ▼ left of its sessions (orphans.ts)
 *                                              ended
 *
 * The server leads a session and a process group of its own, so a signal for Skyport's terminal
 * does not reach it, and one for its group reaches its children too. A run is not restarted: the
 * fleet makes a new one.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { serverEnvironment, serverHome } from './environment.js';
import { LineReader } from './lines.js';
import { formatMarker, type Marker } from './marker.js';
import { endServer } from './orphans.js';
import { signalGroup } from './processes.js';
import { SERVER_ARGUMENTS } from './runtime.js';
import type { Confinement, EnvironmentValue } from './tenancy.js';

export type OutputStream = 'stdout' | 'stderr';

export interface ServerSpec {
  /** A program and its leading arguments; the server's own are appended. */
  readonly command: readonly string[];
  /** `fleet.env` */
  readonly env: Readonly<Record<string, EnvironmentValue>>;
  readonly confinement?: Confinement;
  /** Absolute; created if missing. The server's own directory when left out. */
  readonly workingDirectory?: string;
  /** The server's own directory, absolute; the same for each run of a name. */
  readonly directory: string;
  /** From the start to the line that names the port, ms. */
  readonly startTimeout: number;
  readonly marker: Marker;
}

export interface ServerEvents {
  onListening(port: number): void;
  /** Once, as soon as the server is of no use any more; `ended` follows. */
  onExit(reason: string): void;
  /** Bounded in length and rate; the connection token is blanked out. */
  onLine(stream: OutputStream, line: string): void;
}

export const SERVER_HOST = '127.0.0.1';

export class ManagedServer {
  /** What a client must say in `connect`; new for each run. A secret. */
  readonly token = randomBytes(32).toString('hex');
  /** Resolves when the server and all that it started are gone. Never rejects. */
  readonly ended: Promise<void>;
  readonly #spec: ServerSpec;
  readonly #events: ServerEvents;
  #child: ChildProcess | undefined;
  #state: 'starting' | 'listening' | 'exited' = 'starting';
  #killedFor: string | undefined;
  #startDeadline: NodeJS.Timeout | undefined;
  #resolveEnded!: () => void;

  constructor(spec: ServerSpec, events: ServerEvents) {
    this.#spec = spec;
    this.#events = events;
    this.ended = new Promise((resolve) => { this.#resolveEnded = resolve; });
  }

  get state(): 'starting' | 'listening' | 'exited' {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get workingDirectory(): string {
    return this.#spec.workingDirectory ?? this.#spec.directory;
  }

  /** Starts the process; call once. A start that fails is an exit like any other. */
  start(): void {
    let child: ChildProcess;
    try {
      child = this.#spawn();
    } catch (error) {
      // Reported later like every other exit, so the caller is never called back from within start().
      setImmediate(() => this.#exited(`could not be started: ${(error as Error).message}`));
      return;
    }
    this.#child = child;
    child.on('error', (error) => {
      if (child.pid === undefined) this.#exited(`could not be started: ${error.message}`);
    });
    child.on('exit', (code, signal) => {
      this.#exited(this.#killedFor ?? (signal === null ? `exited with code ${code}` : `killed by ${signal}`));
    });
    this.#read(child.stdout!, 'stdout');
    this.#read(child.stderr!, 'stderr');
    this.#startDeadline = setTimeout(
      () => this.kill(`did not listen within ${this.#spec.startTimeout} ms`), this.#spec.startTimeout,
    );
  }

  /**
   * Ends the server and its process group at once, also when it is stopped or hangs.
   * @param reason what `onExit` gives as the reason; must not hold secrets
   */
  kill(reason: string): void {
    if (this.#state === 'exited' || this.#child?.pid === undefined) return;
    this.#killedFor ??= reason;
    signalGroup(this.#child.pid, 'SIGKILL');
  }

  /**
   * Asks the server to end, and kills it if it has not after `graceMs`.
   * @returns when it and all that it started are gone
   */
  async stop(graceMs: number): Promise<void> {
    if (this.#state !== 'exited' && this.#child?.pid !== undefined) {
      this.#killedFor ??= 'stopped';
      signalGroup(this.#child.pid, 'SIGTERM');
      const deadline = setTimeout(() => this.kill('stopped'), graceMs);
      await this.ended;
      clearTimeout(deadline);
    }
    await this.ended;
  }

  #spawn(): ChildProcess {
    const { command, directory, env, marker } = this.#spec;
    const { workingDirectory } = this;
    mkdirSync(serverHome(directory), { recursive: true, mode: 0o700 });
    mkdirSync(workingDirectory, { recursive: true });
    return spawn(command[0]!, [...command.slice(1), ...SERVER_ARGUMENTS], {
      cwd: workingDirectory,
      env: serverEnvironment(process.env, env as Record<string, string>, { directory, token: this.token, marker: formatMarker(marker) }),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      windowsHide: true,
    });
  }

  #read(stream: Readable, name: OutputStream): void {
    const lines = new LineReader(
      (line) => this.#events.onLine(name, line.replaceAll(this.token, '[token]')),
      name === 'stdout' ? (line) => this.#watch(line) : undefined,
    );
    stream.on('data', (chunk: Buffer) => lines.push(chunk));
    stream.on('end', () => lines.end());
    // A pipe that breaks is followed by the exit, which says more.
    stream.on('error', () => {});
  }

  /** Source of the line: PROTOCOL, "Running the real server offline". */
  #watch(line: string): void {
    if (this.#state !== 'starting' || this.#killedFor !== undefined) return;
    const port = Number(/^CLI server listening on port (\d{1,5})\s*$/.exec(line)?.[1] ?? 0);
    if (port < 1 || port > 65535) return;
    clearTimeout(this.#startDeadline);
    this.#state = 'listening';
    this.#events.onListening(port);
  }

  #exited(reason: string): void {
    if (this.#state === 'exited') return;
    this.#state = 'exited';
    clearTimeout(this.#startDeadline);
    const pid = this.#child?.pid;
    // At once: the group's number stays taken only while one of its processes lives.
    if (pid !== undefined) signalGroup(pid, 'SIGKILL');
    this.#events.onExit(reason);
    void this.#endRest(pid);
  }

  async #endRest(pid: number | undefined): Promise<void> {
    if (pid !== undefined) await endServer(this.#spec.marker);
    // Whoever escaped with the pipes in hand must not keep them open on this side.
    setImmediate(() => {
      this.#child?.stdout?.destroy();
      this.#child?.stderr?.destroy();
    });
    this.#resolveEnded();
  }
}
