/**
 * The health of one backend: what its probes, its callers and its links say becomes one state.
 *
 *                    one good probe
 *      starting ───────────────────────────▶ up ─────────────────────────┐
 *         │                                 ▲  │                         │
 *         │ fall bad probes,     rise good  │  │ fall bad probes,        │ errors failed
 *         │ links lost,          probes in  │  │ links lost,             │ calls in a row
 *         │ shutdown notice      a row      │  │ shutdown notice         │
 *         │                                 │  ▼                         ▼
 *         └───────────────────────────────▶ down ◀──────────────── ejected
 *                                             fall bad probes,       │
 *                                             links lost, notice     │ back-off over, then
 *      any state ── restarted() ──▶ starting                         │ rise good probes
 *                                                            up ◀────┘
 *
 * Only `up` takes calls. `ejected` answers probes but fails its callers; its back-off holds even when
 * it goes `down` meanwhile, and only a new process behind the name (`restarted`) lifts it.
 *
 * Pure: the clock is an argument (milliseconds, monotonic), the probes are the owner's. The owner
 * sends a probe when `nextProbeAt(now) <= now`, says `probeStarted(now)`, and reports the outcome
 * within `options.timeout`. A probe is due each `interval` whether or not the last one was
 * answered, and each half interval while an up backend is failing them, so a stopped process is out
 * within fall * interval + timeout also when the owner looks at the clock only now and then.
 */
import { Ejection, type EjectionOptions } from './ejection.js';

export type HealthState = 'starting' | 'up' | 'down' | 'ejected';

export interface HealthOptions {
  /** Between two probes, ms. */
  readonly interval: number;
  /** After this a probe counts as failed, ms. */
  readonly timeout: number;
  /** Good probes in a row that bring a backend back. */
  readonly rise: number;
  /** Bad probes in a row that take it out. */
  readonly fall: number;
  readonly ejection: EjectionOptions;
  /** How long a backend that came back gets less than its weight, ms; 0 for not at all. */
  readonly slowStart: number;
}

/** Called after each change of state, with a reason for logs and for `skyport status`. */
export type HealthChange = (from: HealthState, to: HealthState, reason: string) => void;

export interface HealthSources {
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Asked before an ejection; a pool says no rather than eject its last backends. */
  readonly mayEject?: () => boolean;
}

/** The share of its weight that a backend gets in the first moment of its slow start. */
const FIRST_SHARE = 0.1;

export class Health {
  readonly #onChange: HealthChange;
  readonly #mayEject: () => boolean;
  readonly #ejection: Ejection;
  #options: HealthOptions;
  #state: HealthState = 'starting';
  #reason = 'not probed yet';
  /** In a row, in this state. */
  #good = 0;
  #bad = 0;
  #failedCalls = 0;
  #probeDue = -Infinity;
  #ejectedUntil = -Infinity;
  #wasUp = false;
  #rampFrom = -Infinity;
  #latency: number | undefined;

  constructor(options: HealthOptions, onChange: HealthChange, sources: HealthSources = {}) {
    this.#options = options;
    this.#onChange = onChange;
    this.#mayEject = sources.mayEject ?? (() => true);
    this.#ejection = new Ejection(sources.random ?? Math.random);
  }

  get state(): HealthState {
    return this.#state;
  }

  /** Why the state is what it is. */
  get reason(): string {
    return this.#reason;
  }

  get options(): HealthOptions {
    return this.#options;
  }

  /** How long the last good probe took, ms. */
  get latencyMs(): number | undefined {
    return this.#latency;
  }

  /** New thresholds and times, in force from the next report on; states and counts stay. */
  update(options: HealthOptions): void {
    this.#options = options;
  }

  /** When the next probe is due; now, if it is overdue. */
  nextProbeAt(now: number): number {
    return Math.max(now, this.#probeDue, this.#ejectedUntil);
  }

  /** A probe leaves now. The next one is counted from when this one was due, so lateness does not add up. */
  probeStarted(now: number): void {
    const every = this.#probeEvery();
    const late = now - this.#probeDue;
    this.#probeDue = late < every ? this.#probeDue + every : now + every;
  }

  probeOk(now: number, latencyMs: number): void {
    this.#latency = latencyMs;
    this.#bad = 0;
    if (this.#state === 'up' || now < this.#ejectedUntil) return;
    this.#good++;
    const needed = this.#state === 'starting' ? 1 : this.#options.rise;
    if (this.#good >= needed) this.#to('up', `${this.#good} good probe${this.#good === 1 ? '' : 's'}`, now);
  }

  /** @param reason what was wrong with the probe; must not hold secrets */
  probeFailed(now: number, reason: string): void {
    this.#good = 0;
    this.#bad++;
    if (this.#state === 'down') return;
    if (this.#bad >= this.#options.fall) this.#to('down', `${this.#bad} bad probes: ${reason}`, now);
    else this.#probeDue = Math.min(this.#probeDue, now + this.#probeEvery());
  }

  /** A call failed for a reason that is the backend's: it broke the protocol or did not answer in time. */
  passiveFailure(now: number, reason: string): void {
    const limit = this.#options.ejection.errors;
    if (this.#state !== 'up' || limit === 0) return;
    this.#failedCalls++;
    if (this.#failedCalls < limit || !this.#mayEject()) return;
    this.#ejectedUntil = now + this.#ejection.eject(now, this.#options.ejection);
    this.#to('ejected', `${this.#failedCalls} failed calls: ${reason}`, now);
  }

  /** A call was answered, be it with an application's error. */
  passiveSuccess(_now: number): void {
    this.#failedCalls = 0;
  }

  /** All links broke: nothing to wait for. */
  connectionLost(now: number, reason: string): void {
    this.#fallAtOnce(reason, now);
  }

  /** The server said SERVER_SHUTTING_DOWN. */
  shutdownNotice(now: number): void {
    this.#fallAtOnce('shutting down', now);
  }

  /** Another process stands behind the name now: what was known of the old one does not count. */
  restarted(now: number, reason: string): void {
    this.#probeDue = -Infinity;
    this.#ejectedUntil = -Infinity;
    this.#to('starting', reason, now);
  }

  /**
   * The share of its weight that counts now: 1, or rising from 0.1 over `slowStart` after it came
   * back. 0 while it is not up. The first time ever is not slowed: then all backends are new.
   */
  ramp(now: number): number {
    if (this.#state !== 'up') return 0;
    const part = (now - this.#rampFrom) / this.#options.slowStart;
    return part < 1 ? Math.max(FIRST_SHARE, part) : 1;
  }

  /** When the back-off of an ejection ends, or undefined when there is none to wait for. */
  ejectedUntil(now: number): number | undefined {
    return this.#ejectedUntil > now ? this.#ejectedUntil : undefined;
  }

  #probeEvery(): number {
    const suspected = this.#state === 'up' && this.#bad > 0;
    return suspected ? this.#options.interval / 2 : this.#options.interval;
  }

  #fallAtOnce(reason: string, now: number): void {
    this.#good = 0;
    if (this.#state !== 'down') this.#to('down', reason, now);
  }

  /** The one place where the state changes. */
  #to(next: HealthState, reason: string, now: number): void {
    const from = this.#state;
    this.#state = next;
    this.#reason = reason;
    this.#good = 0;
    this.#bad = 0;
    this.#failedCalls = 0;
    if (next === 'up') {
      this.#rampFrom = this.#wasUp ? now : -Infinity;
      this.#wasUp = true;
      this.#ejectedUntil = -Infinity;
      this.#ejection.recovered(now);
    }
    if (from !== next) this.#onChange(from, next, reason);
  }
}
