/**
 * One name of the fleet over all the runs of its server: starts it again when it dies, in the same
 * directory, so that the sessions on its disk survive it.
 *
 *   waiting ──back-off over──▶ starting ──listening──▶ ready ──dismiss()──▶ leaving
 *      ▲                          │                      │  ◀──keep()────   │
 *      └──── died, killed ────────┴──────────────────────┘                  │ end(), or it died
 *                                                    stopping, then gone ◀──┘
 *
 * renew() starts a successor beside the run that serves:
 *
 *   current ── successor starts ──▶ it listens: successor is current, the run before is older until
 *      │                │           endRun(), which whoever drains it calls
 *      │                └─▶ it does not: current stays, the next renewal has a back-off
 *      └─ dies meanwhile: the successor is current at once
 */
import { Backoff } from './backoff.js';
import { ownMarker } from './marker.js';
import type { FleetOptions } from './options.js';
import type { MemberEvents, MemberState, MemberStatus } from './reports.js';
import { Run } from './run.js';
import type { Starts } from './starts.js';
import type { Outfit, Tenancy } from './tenancy.js';

export type { MemberEvents, MemberState, MemberStatus } from './reports.js';
export type { ReadyServer } from './run.js';

/** What a member needs of its fleet. */
export interface MemberHost {
  readonly id: string;
  readonly options: FleetOptions;
  readonly events: MemberEvents;
  readonly random: () => number;
  readonly starts: Starts;
  nextRun(): number;
  /** By the configuration as it is now. */
  outfitOf(member: Member): Outfit;
  /** Whether its start goes before that of a spare. */
  isUrgent(member: Member): boolean;
  /** Whether the fleet wants a server of this name to run. */
  wants(member: Member): boolean;
  /** It is ready, or a start or a run came to its end. */
  settled(member: Member): void;
  /** The member has ended by itself while it was leaving. */
  left(member: Member): void;
}

export class Member {
  readonly name: string;
  readonly isCanary: boolean;
  readonly #host: MemberHost;
  readonly #backoff: Backoff;
  readonly #renewals: Backoff;
  /** All that have not ended. */
  readonly #runs = new Set<Run>();
  #tenancy: Tenancy;
  #state: MemberState = 'starting';
  #current: Run | undefined;
  #successor: Run | undefined;
  #renewReason = '';
  #older: Run | undefined;
  #starts = 0;
  #lastExit: string | undefined;
  #renewFailed: string | undefined;
  /** performance.now() */
  #renewAfter = 0;
  /** Of the last start. */
  #triedKey: string | undefined;
  #restart: NodeJS.Timeout | undefined;
  #dismissed = false;
  #ending: Promise<void> | undefined;

  /** @param isCanary of a shared server */
  constructor(name: string, tenancy: Tenancy, isCanary: boolean, host: MemberHost) {
    this.name = name;
    this.isCanary = isCanary;
    this.#tenancy = tenancy;
    this.#host = host;
    this.#backoff = new Backoff(host.random);
    this.#renewals = new Backoff(host.random);
  }

  get state(): MemberState {
    return this.#state;
  }

  get tenancy(): Tenancy {
    return this.#tenancy;
  }

  /** Whether a server listens under its name. */
  get isReady(): boolean {
    return this.#current?.hasListened === true;
  }

  /** Whether it was one too many when it ended: nothing follows it. */
  get isDismissed(): boolean {
    return this.#dismissed;
  }

  get isRenewing(): boolean {
    return this.#successor !== undefined || this.#older !== undefined;
  }

  get isCrashLooping(): boolean {
    return this.#backoff.isLooping(this.#current?.ranFor ?? 0);
  }

  get lastExit(): string | undefined {
    return this.#lastExit;
  }

  /** What the run that serves was started with; undefined while nothing has been started. */
  get outfit(): Outfit | undefined {
    return this.#current?.outfit;
  }

  /** Kills all of its runs before it returns. */
  killAll(reason: string): void {
    for (const run of this.#runs) run.kill(reason);
  }

  status(): MemberStatus {
    const current = this.#current;
    const wanted = this.#host.outfitOf(this);
    return {
      name: this.name,
      state: this.#state,
      tenancy: this.#tenancy,
      canary: (current?.outfit ?? wanted).canary,
      run: current?.number,
      pid: current?.pid,
      port: current?.port,
      restarts: Math.max(0, this.#starts - 1),
      crashLoop: this.isCrashLooping,
      startedAt: current?.startedAt,
      lastExit: this.#lastExit,
      outdated: current?.outfit !== undefined && current.outfit.key !== wanted.key,
      renewing: this.isRenewing,
      older: this.#older?.number,
      renewFailed: this.#renewFailed,
    };
  }

  /** Starts a server, unless the name is not wanted (any more). */
  launch(): void {
    if (this.#ending !== undefined || this.#current !== undefined || !this.#host.wants(this)) return;
    this.#state = 'starting';
    this.#current = this.#newRun();
    this.#current.start(this.#host.starts, this.#host.isUrgent(this));
  }

  /** Somebody waits for its start. */
  urge(): void {
    this.#current?.urge();
  }

  /** A spare becomes a user's. */
  give(user: string): void {
    this.#tenancy = { kind: 'user', user };
    this.urge();
    if (this.isReady) this.#host.events.onReady(this.#current!.ready(this.#tenancy));
  }

  /** The configuration has changed: what failed with the old one is tried at once with the new one. */
  refresh(): void {
    if (this.#triedKey === undefined || this.#host.outfitOf(this).key === this.#triedKey) return;
    this.#renewals.reset();
    this.#renewAfter = 0;
    this.#renewFailed = undefined;
    if (this.#state !== 'waiting') return;
    this.#backoff.reset();
    if (this.#restart === undefined) return;
    clearTimeout(this.#restart);
    this.#restart = undefined;
    this.launch();
  }

  /**
   * Kills a run and its process group; what serves is started again after its back-off.
   * @param run left out: the one that serves
   */
  kill(reason: string, run?: number): void {
    const meant = run === undefined ? this.#current : this.#run(run);
    meant?.kill(reason);
  }

  /** Starts a successor. @returns false when one is under way, has just failed, or nothing serves */
  renew(reason: string): boolean {
    if (this.#state !== 'ready' || this.isRenewing || performance.now() < this.#renewAfter) return false;
    this.#renewReason = reason;
    this.#successor = this.#newRun();
    this.#successor.start(this.#host.starts, false);
    return true;
  }

  /** The server is one too many: it goes on until end(), but is not started again. */
  dismiss(): void {
    clearTimeout(this.#restart);
    this.#restart = undefined;
    this.#state = 'leaving';
    this.#dismissed = true;
    void this.#successor?.stop(0);
    this.#successor = undefined;
  }

  /** Takes a dismissal back. One that is ending, or has died meanwhile, is replaced instead. */
  keep(): void {
    if (!this.isReady || this.#ending !== undefined) return;
    this.#state = 'ready';
    this.#dismissed = false;
    this.#host.events.onReady(this.#current!.ready(this.#tenancy));
  }

  /** @returns when all runs and all that they started are gone, and none follows */
  end(): Promise<void> {
    clearTimeout(this.#restart);
    this.#restart = undefined;
    this.#state = 'stopping';
    this.#ending ??= Promise.all([...this.#runs].map((run) => run.stop(this.#host.options.stopTimeout))).then(() => undefined);
    return this.#ending;
  }

  isCurrent(run: number): boolean {
    return this.#current?.number === run;
  }

  /** Ends a run that does not serve any more. @returns when it and all that it started are gone */
  endRun(run: number): Promise<void> {
    return this.#run(run)?.stop(this.#host.options.stopTimeout) ?? Promise.resolve();
  }

  #run(number: number): Run | undefined {
    for (const run of this.#runs) if (run.number === number) return run;
    return undefined;
  }

  #newRun(): Run {
    const number = this.#host.nextRun();
    const run = new Run(number, () => {
      const outfit = this.#host.outfitOf(this);
      const { options } = this.#host;
      this.#triedKey = outfit.key;
      this.#starts++;
      return {
        name: this.name, number, options, outfit,
        // Names the run: what the end of one run clears away must not be its successor.
        marker: ownMarker(this.#host.id, `${this.name}.${number}`),
        workingDirectory: this.#tenancy.kind === 'shared' ? options.workingDirectory : undefined,
      };
    }, {
      onListening: () => this.#listening(run),
      onExit: (_, reason) => this.#exited(run, reason),
      onLine: (stream, line) => this.#host.events.onLine(this.name, stream, line),
    });
    this.#runs.add(run);
    void run.ended.then(() => this.#runs.delete(run));
    return run;
  }

  #listening(run: Run): void {
    const { events } = this.#host;
    if (run === this.#successor) {
      this.#older = this.#current;
      this.#current = run;
      this.#successor = undefined;
      this.#renewFailed = undefined;
      this.#renewals.reset();
      if (events.onSucceeded !== undefined) events.onSucceeded(run.ready(this.#tenancy), this.#renewReason);
      else void this.#older?.stop(this.#host.options.stopTimeout);
    } else if (run === this.#current && this.#ending === undefined) {
      this.#state = 'ready';
      events.onReady(run.ready(this.#tenancy));
    }
    this.#host.settled(this);
  }

  #exited(run: Run, reason: string): void {
    if (run === this.#current) this.#currentExited(run, reason);
    else if (run === this.#successor) this.#successorFailed(reason);
    else this.#olderExited(run, reason);
    this.#host.settled(this);
  }

  #currentExited(run: Run, reason: string): void {
    this.#lastExit = reason;
    this.#current = undefined;
    if (this.#ending === undefined && this.#state !== 'leaving') this.#state = 'waiting';
    if (run.hasListened) this.#host.events.onGone(this.name, reason, run.number);
    const { ranFor } = run;
    if (this.#successor !== undefined && this.#ending === undefined) {
      // Its death counts, but there is nothing to wait for.
      this.#backoff.next(ranFor, this.#host.options.restartBackoff);
      this.#current = this.#successor;
      this.#successor = undefined;
      this.#state = 'starting';
      this.#current.urge();
      return;
    }
    // The next server opens the same files: not before the last process of this one is gone.
    void run.ended.then(() => {
      if (this.#ending !== undefined) return;
      if (this.#state === 'leaving') this.#leftIfEmpty();
      else this.#restartLater(ranFor, run.hasListened ? undefined : reason);
    });
  }

  #successorFailed(reason: string): void {
    this.#successor = undefined;
    const delay = this.#renewals.next(0, this.#host.options.restartBackoff);
    this.#renewAfter = performance.now() + delay;
    this.#renewFailed = reason;
    this.#host.events.onStartFailed?.(this.name, reason, delay);
  }

  #olderExited(run: Run, reason: string): void {
    if (run === this.#older) this.#older = undefined;
    if (run.hasListened) this.#host.events.onGone(this.name, reason, run.number);
    void run.ended.then(() => {
      if (this.#state === 'leaving') this.#leftIfEmpty();
    });
  }

  #leftIfEmpty(): void {
    if (this.#current === undefined && this.#older === undefined) this.#host.left(this);
  }

  #restartLater(ranFor: number, startFailure?: string): void {
    const delay = this.#backoff.next(ranFor, this.#host.options.restartBackoff);
    this.#state = 'waiting';
    this.#restart = setTimeout(() => {
      this.#restart = undefined;
      this.launch();
    }, delay);
    if (startFailure !== undefined) this.#host.events.onStartFailed?.(this.name, startFailure, delay);
    this.#host.settled(this);
  }
}
