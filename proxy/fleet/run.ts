/**
 * One run of a member: its server's process, from the wait for room to start to the end of everything
 * it started. ManagedServer is the process; a run adds what the fleet knows of it.
 *
 *   start() ─▶ queued ──room──▶ starting ──▶ listening ──▶ exited ──▶ ended
 *                 └──stop()──▶ ended
 */
import { resolve } from 'node:path';
import type { Marker } from './marker.js';
import type { FleetOptions } from './options.js';
import { findRuntime } from './runtime.js';
import { ManagedServer, SERVER_HOST, type OutputStream } from './server.js';
import type { Starts, StartSlot } from './starts.js';
import type { Outfit, Tenancy } from './tenancy.js';

export interface ReadyServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** A secret. */
  readonly token: string;
  readonly pid: number;
  /** The directory that its process was started in. */
  readonly workingDirectory: string;
  readonly tenancy: Tenancy;
  /** Whether it runs `fleet.canary.command`. */
  readonly canary: boolean;
  /** Names this process among all that this Skyport starts. */
  readonly run: number;
}

export interface RunSpec {
  readonly name: string;
  readonly number: number;
  readonly marker: Marker;
  readonly options: FleetOptions;
  readonly outfit: Outfit;
  /** Left out: its own directory. */
  readonly workingDirectory?: string;
}

export interface RunEvents {
  onListening(run: Run): void;
  /** Once, after a start; `ended` follows. */
  onExit(run: Run, reason: string): void;
  onLine(stream: OutputStream, line: string): void;
}

export class Run {
  readonly number: number;
  /** Resolves when the server and all that it started are gone, or when it was given up before its start. */
  readonly ended: Promise<void>;
  readonly #prepare: () => RunSpec;
  readonly #events: RunEvents;
  #spec: RunSpec | undefined;
  #server: ManagedServer | undefined;
  #slot: StartSlot | undefined;
  #startedAt: number | undefined;
  #port: number | undefined;
  /** performance.now() when it began to listen. */
  #listensSince = 0;
  #over = false;
  #resolveEnded!: () => void;

  /** @param prepare called when there is room to start it, so that it starts with what holds then */
  constructor(number: number, prepare: () => RunSpec, events: RunEvents) {
    this.number = number;
    this.#prepare = prepare;
    this.#events = events;
    this.ended = new Promise((done) => { this.#resolveEnded = done; });
  }

  /** What it was started with; undefined while it waits for room. */
  get outfit(): Outfit | undefined {
    return this.#spec?.outfit;
  }

  /** Undefined when there is no process, yet or any more. */
  get pid(): number | undefined {
    return this.#server === undefined || this.#server.state === 'exited' ? undefined : this.#server.pid;
  }

  get port(): number | undefined {
    return this.#port;
  }

  /** Unix time in ms. */
  get startedAt(): number | undefined {
    return this.#startedAt;
  }

  /** Whether it has ever listened. */
  get hasListened(): boolean {
    return this.#port !== undefined;
  }

  /** For how long it has listened, ms; 0 if it never did. */
  get ranFor(): number {
    return this.hasListened ? performance.now() - this.#listensSince : 0;
  }

  /** Call once. */
  start(starts: Starts, urgent: boolean): void {
    this.#slot = starts.enter(urgent, () => this.#begin());
  }

  /** Somebody waits for it. */
  urge(): void {
    this.#slot?.urge();
  }

  kill(reason: string): void {
    this.#server?.kill(reason);
  }

  /** Ends it, SIGTERM first. @returns when all is gone */
  stop(graceMs: number): Promise<void> {
    if (this.#spec === undefined) {
      this.#over = true;
      this.#slot?.leave();
      this.#resolveEnded();
    } else {
      void this.#server?.stop(graceMs);
    }
    return this.ended;
  }

  /** Of a run that has listened. */
  ready(tenancy: Tenancy): ReadyServer {
    const { token, workingDirectory } = this.#server!;
    return {
      name: this.#spec!.name, host: SERVER_HOST, port: this.#port!, token, pid: this.#server!.pid!, workingDirectory,
      tenancy, canary: this.#spec!.outfit.canary, run: this.number,
    };
  }

  #begin(): void {
    if (this.#over) return;
    const spec = this.#prepare();
    this.#spec = spec;
    this.#startedAt = Date.now();
    const runtime = findRuntime(spec.outfit.command);
    if ('missing' in runtime) {
      // Reported later, as the exit of a process is.
      setImmediate(() => {
        this.#exited(runtime.missing);
        this.#resolveEnded();
      });
      return;
    }
    const { name, marker, workingDirectory, options: { directory, startTimeout } } = spec;
    const { env, confinement } = spec.outfit;
    const server = new ManagedServer({
      command: runtime.command, env, confinement, directory: resolve(directory, name), startTimeout, marker,
      workingDirectory: workingDirectory === undefined ? undefined : resolve(workingDirectory),
    }, {
      onListening: (port) => this.#listening(port),
      onExit: (reason) => this.#exited(reason),
      onLine: this.#events.onLine,
    });
    this.#server = server;
    void server.ended.then(() => this.#resolveEnded());
    server.start();
  }

  #listening(port: number): void {
    this.#port = port;
    this.#listensSince = performance.now();
    this.#slot?.leave();
    this.#events.onListening(this);
  }

  #exited(reason: string): void {
    this.#events.onExit(this, reason);
    this.#slot?.leave();
  }
}
