/**
 * One run of one managed server: from the start of its process to the end of everything it started.
 *
 *   start() ─▶ starting ──"listening on port N"──▶ listening ─┐
 *                 │ start_timeout, kill, stop, died           │ kill, stop, died
 *                 └──────────────────────────▶ exited ◀───────┘
 *                                                │ its process group and its cgroup are killed,
 *                                                ▼ then what is left of its sessions (orphans.ts)
 *                                              ended
 *
 * The server leads a session and a process group of its own, so a signal for Skyport's terminal
 * does not reach it, and one for its group reaches its children too. A run is not restarted: the
 * fleet makes a new one.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ServerCgroup } from './cgroup.js';
import type { Confinement } from './confinement.js';
import { closePipes, launch, prepare, type Preparation } from './launch.js';
import { LineReader } from './lines.js';
import type { Marker } from './marker.js';
import { endServer } from './orphans.js';
import { signalGroup } from './processes.js';
import { Redaction } from './redaction.js';
import type { EnvironmentValue } from './secrets.js';

export type OutputStream = 'stdout' | 'stderr';

export interface ServerSpec {
  /** A program and its leading arguments; the server's own are appended. */
  readonly command: readonly string[];
  /** What the configuration gives of its environment; files and commands are read at each start. */
  readonly env: Readonly<Record<string, EnvironmentValue>>;
  /** Absolute; created if missing. The server's own directory when left out. */
  readonly workingDirectory?: string;
  /** The server's own directory, absolute; the same for each run of a name. */
  readonly directory: string;
  /** From the start to the line that names the port, ms. */
  readonly startTimeout: number;
  readonly marker: Marker;
  /** Its uid and limits, if any. With a uid `directory` is that user's, and its parents let it pass. */
  readonly confinement?: Confinement;
}

export interface ServerEvents {
  onListening(port: number): void;
  /** Once, as soon as the server is of no use any more; `ended` follows. */
  onExit(reason: string): void;
  /** Bounded in length and rate; the connection token and the values of `env` are blanked out. */
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
  readonly #preparing = new AbortController();
  #child: ChildProcess | undefined;
  #cgroup: ServerCgroup | undefined;
  #redaction = new Redaction({});
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

  /**
   * Starts the process, as soon as what it needs has been read and made; call once. A start that fails
   * is an exit like any other.
   */
  start(): void {
    this.#startDeadline = setTimeout(
      () => this.kill(`did not listen within ${this.#spec.startTimeout} ms`), this.#spec.startTimeout,
    );
    void prepare(this.#spec, this.token, this.#preparing.signal).then((prepared) => {
      if (this.#killedFor !== undefined) this.#exited(this.#killedFor);
      else if ('failure' in prepared) this.#exited(`could not be started: ${prepared.failure}`);
      else this.#launch(prepared);
    });
  }

  /**
   * Ends the server, its process group and its cgroup at once, also when it is stopped or hangs.
   * @param reason what `onExit` gives as the reason; must not hold secrets
   */
  kill(reason: string): void {
    if (this.#state === 'exited') return;
    this.#killedFor ??= reason;
    this.#preparing.abort();
    if (this.#child?.pid !== undefined) signalGroup(this.#child.pid, 'SIGKILL');
    this.#cgroup?.kill();
  }

  /**
   * Asks the server to end, and kills it if it has not after `graceMs`.
   * @returns when it and all that it started are gone
   */
  async stop(graceMs: number): Promise<void> {
    if (this.#state !== 'exited') {
      this.#killedFor ??= 'stopped';
      this.#preparing.abort();
      if (this.#child?.pid !== undefined) signalGroup(this.#child.pid, 'SIGTERM');
      const deadline = setTimeout(() => this.kill('stopped'), graceMs);
      await this.ended;
      clearTimeout(deadline);
    }
    await this.ended;
  }

  #launch(prepared: Preparation): void {
    this.#redaction = new Redaction({ ...prepared.configured, token: this.token });
    let child: ChildProcess;
    try {
      ({ child, cgroup: this.#cgroup } = launch(this.#spec, prepared));
    } catch (error) {
      this.#exited(`could not be started: ${(error as Error).message}`);
      return;
    }
    this.#child = child;
    child.on('error', (error) => {
      if (child.pid === undefined) this.#exited(`could not be started: ${error.message}`);
    });
    child.on('exit', (code, signal) => {
      this.#exited(this.#killedFor ?? this.#lackOfMemory() ?? (signal === null ? `exited with code ${code}` : `killed by ${signal}`));
    });
    // A child that could not be made for want of descriptors has no streams.
    if (child.stdout) this.#read(child.stdout, 'stdout');
    if (child.stderr) this.#read(child.stderr, 'stderr');
  }

  #lackOfMemory(): string | undefined {
    return this.#cgroup?.ranOut() === true ? `used more memory than its limit of ${this.#spec.confinement?.limits.memory} bytes` : undefined;
  }

  #read(stream: Readable, name: OutputStream): void {
    const lines = new LineReader(
      (line) => this.#events.onLine(name, this.#redaction.blank(line)),
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
    this.#cgroup?.kill();
    this.#events.onExit(reason);
    void this.#endRest();
  }

  async #endRest(): Promise<void> {
    // Also without a process of its own: commands that were to give it secrets carry its mark.
    await endServer(this.#spec.marker, this.#spec.confinement?.uid);
    await this.#cgroup?.remove();
    // Whoever escaped with the pipes in hand must not keep them open on this side.
    setImmediate(() => this.#child && closePipes(this.#child));
    this.#resolveEnded();
  }
}
