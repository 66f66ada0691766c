/**
 * One name of the fleet, `managed-<n>`, over all the runs of its server: starts it again when it dies,
 * in the same directory, so that the sessions on its disk survive it.
 *
 *   waiting ──back-off over──▶ starting ──listening──▶ ready ──dismiss()──▶ leaving
 *      ▲                          │                      │  ◀──keep()────   │
 *      └──── died, recycled ──────┴──────────────────────┘                  │ end(), or it died
 *                                                    stopping, then gone ◀──┘
 */
import { resolve } from 'node:path';
import { Backoff, type BackoffLimits } from './backoff.js';
import { ownMarker } from './marker.js';
import { findRuntime } from './runtime.js';
import { ManagedServer, SERVER_HOST, type OutputStream } from './server.js';

export type MemberState = 'waiting' | 'starting' | 'ready' | 'leaving' | 'stopping';

export interface MemberOptions {
  /** A program and its leading arguments; the runtime bundled with the SDK when left out. */
  readonly command?: readonly string[];
  /** `fleet.env`; see environment.ts for what else a server gets. */
  readonly env: Readonly<Record<string, string>>;
  /** The servers' working directory, created if missing; each server's own directory when left out. */
  readonly workingDirectory?: string;
  /** `<store.path>/servers`; a server's own directory is `<directory>/<name>`. */
  readonly directory: string;
  /** ms */
  readonly startTimeout: number;
  /** From SIGTERM to SIGKILL, ms. */
  readonly stopTimeout: number;
  readonly restartBackoff: BackoffLimits;
}

export interface ReadyServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** A secret. */
  readonly token: string;
  readonly pid: number;
  /** The directory that its process was started in. */
  readonly workingDirectory: string;
}

export interface MemberEvents {
  /** A server listens: after each start, and once more when one that was to leave may stay. */
  onReady(server: ReadyServer): void;
  /** A server that was ready is gone; at once, before what it leaves behind has been cleared away. */
  onGone(name: string, reason: string): void;
  /** What a server printed; bounded, its token blanked out. */
  onLine(name: string, stream: OutputStream, line: string): void;
  /** A start came to nothing; the next one is in `retryIn` ms. */
  onStartFailed?(name: string, reason: string, retryIn: number): void;
}

/** What a member needs of its fleet. */
export interface MemberHost {
  readonly id: string;
  readonly options: MemberOptions;
  readonly events: MemberEvents;
  readonly random: () => number;
  /** Whether the fleet wants a server of this name to run. */
  wants(name: string): boolean;
  /** The member has ended by itself while it was leaving. */
  left(member: Member): void;
}

/** For `skyport status`. */
export interface MemberStatus {
  readonly name: string;
  readonly state: MemberState;
  readonly pid?: number;
  readonly port?: number;
  /** Starts after the first. */
  readonly restarts: number;
  /** It died several times in a row without a stable minute in between. */
  readonly crashLoop: boolean;
  /** Of the process that runs; unix time in ms. */
  readonly startedAt?: number;
  /** How the last process ended, or why there is none. */
  readonly lastExit?: string;
}

export class Member {
  readonly name: string;
  readonly #host: MemberHost;
  readonly #backoff: Backoff;
  #state: MemberState = 'starting';
  #server: ManagedServer | undefined;
  #ready: ReadyServer | undefined;
  /** performance.now() when it began to listen. */
  #readySince = 0;
  #startedAt: number | undefined;
  #starts = 0;
  #lastExit: string | undefined;
  #restart: NodeJS.Timeout | undefined;
  #ending: Promise<void> | undefined;

  constructor(name: string, host: MemberHost) {
    this.name = name;
    this.#host = host;
    this.#backoff = new Backoff(host.random);
  }

  get state(): MemberState {
    return this.#state;
  }

  get isReady(): boolean {
    return this.#ready !== undefined;
  }

  status(): MemberStatus {
    return {
      name: this.name,
      state: this.#state,
      pid: this.#server?.state === 'exited' ? undefined : this.#server?.pid,
      port: this.#ready?.port,
      restarts: Math.max(0, this.#starts - 1),
      crashLoop: this.#backoff.looping,
      startedAt: this.#startedAt,
      lastExit: this.#lastExit,
    };
  }

  /** Starts a server, unless the name is not wanted (any more). */
  launch(): void {
    if (this.#ending !== undefined || !this.#host.wants(this.name)) return;
    this.#state = 'starting';
    const { command, env, directory, workingDirectory, startTimeout } = this.#host.options;
    const runtime = findRuntime(command);
    if ('missing' in runtime) {
      this.#lastExit = runtime.missing;
      this.#restartLater(0, runtime.missing);
      return;
    }
    const server: ManagedServer = new ManagedServer({
      command: runtime.command,
      env,
      workingDirectory: workingDirectory === undefined ? undefined : resolve(workingDirectory),
      directory: resolve(directory, this.name),
      startTimeout,
      marker: ownMarker(this.#host.id, this.name),
    }, {
      onListening: (port) => this.#listening(server, port),
      onExit: (reason) => this.#exited(server, reason),
      onLine: (stream, line) => this.#host.events.onLine(this.name, stream, line),
    });
    this.#server = server;
    this.#starts++;
    this.#startedAt = Date.now();
    server.start();
  }

  /** Kills the server and its process group; it is started again after its back-off. */
  recycle(reason: string): void {
    this.#server?.kill(reason);
  }

  /** The server is one too many: it goes on until end(), but is not started again. */
  dismiss(): void {
    clearTimeout(this.#restart);
    this.#state = 'leaving';
  }

  /** Takes a dismissal back. One that is ending, or has died meanwhile, is replaced instead. */
  keep(): void {
    if (this.#ready === undefined || this.#ending !== undefined) return;
    this.#state = 'ready';
    this.#host.events.onReady(this.#ready);
  }

  /** @returns when the server and all that it started are gone, and none follows */
  end(): Promise<void> {
    clearTimeout(this.#restart);
    this.#state = 'stopping';
    this.#ending ??= this.#server?.stop(this.#host.options.stopTimeout) ?? Promise.resolve();
    return this.#ending;
  }

  #listening(server: ManagedServer, port: number): void {
    this.#readySince = performance.now();
    const { workingDirectory } = server;
    this.#ready = { name: this.name, host: SERVER_HOST, port, token: server.token, pid: server.pid!, workingDirectory };
    this.#state = 'ready';
    this.#host.events.onReady(this.#ready);
  }

  #exited(server: ManagedServer, reason: string): void {
    const wasReady = this.#ready !== undefined;
    const ranFor = wasReady ? performance.now() - this.#readySince : 0;
    this.#lastExit = reason;
    this.#ready = undefined;
    this.#startedAt = undefined;
    if (this.#state === 'ready' || this.#state === 'starting') this.#state = 'waiting';
    if (wasReady) this.#host.events.onGone(this.name, reason);
    // The next server opens the same files: not before the last process of this one is gone.
    void server.ended.then(() => {
      this.#server = undefined;
      if (this.#ending !== undefined) return;
      if (this.#state === 'leaving') this.#host.left(this);
      else this.#restartLater(ranFor, wasReady ? undefined : reason);
    });
  }

  #restartLater(ranFor: number, startFailure?: string): void {
    const delay = this.#backoff.next(ranFor, this.#host.options.restartBackoff);
    this.#state = 'waiting';
    this.#restart = setTimeout(() => this.launch(), delay);
    if (startFailure !== undefined) this.#host.events.onStartFailed?.(this.name, startFailure, delay);
  }
}
