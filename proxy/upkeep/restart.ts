/**
 * `skyport restart`: all managed servers are started anew, one at a time, so that no turn is lost.
 *
 *   waiting ──▶ draining ──nothing is loaded──▶ stopping ──it has ended──▶ starting ──it is up──▶ done
 *                  │                                           │ left the fleet
 *                  │ time over                                 ▼        ▼ it does not come up
 *                  └──────────────▶ failed                  skipped   failed: the others are left alone
 *
 * A server that nothing could stand in for is closed to its sessions for moments only: what calls wait
 * for must not last longer than they wait.
 */
import type { OrderRefused, RestartReport, RestartState } from '../admin/actions.js';
import type { Backend } from '../backends/backend.js';
import { channels } from '../channels.js';
import type { Mover } from '../clients/moving.js';
import type { Services } from '../clients/services.js';
import type { Fleet } from '../fleet/supervisor.js';
import { isEmpty } from '../report.js';

/** Milliseconds that a server without a substitute may be closed to its sessions before it has ended. */
const CLOSED_AT_MOST = 4_000;

/** Milliseconds that it is open again at least, unless no turn runs on it. */
const OPEN_AT_LEAST = 4_000;

/** Looks at which a server must have been empty, one after the other: a call may have been on its way to it. */
const LOOKS = 2;

export interface Servers {
  /** Names of the managed servers that are to stay, in order. */
  names(): string[];
  backend(name: string): Backend | undefined;
  /** Nothing is loaded on it, and no call waits there. */
  isEmpty(backend: Backend): boolean;
  load(backend: Backend): { readonly sessionsLoaded: number; readonly sessionsStaying: number; readonly turnsOpen: number };
  hasSubstitute(backend: Backend): boolean;
  /** Ends it and has a new one started under its name. Resolves when it has ended. */
  startAnew(name: string): Promise<void>;
  /** Why the server of this name does not come up, if it keeps dying; undefined while it may come up yet. */
  trouble(name: string): string | undefined;
}

interface Step {
  readonly name: string;
  state: RestartState;
}

const NOTHING = { sessionsLoaded: 0, sessionsStaying: 0, turnsOpen: 0 };

export class RollingRestart {
  private steps: Step[] = [];
  private failure: string | undefined;
  private deadline = 0;
  /** Of the server whose turn it is: looks that found it empty, when it was closed or opened, and whether it is closed. */
  private looks = 0;
  private changedAt = 0;
  private closed: Backend | undefined;

  constructor(private readonly servers: Servers) {}

  /** One is under way. */
  get running(): boolean {
    return this.current() !== undefined;
  }

  /** Whether it is still to come in the one that is under way, or its turn is now. */
  has(name: string): boolean {
    return this.running && this.steps.some((step) => step.name === name && step.state !== 'done' && step.state !== 'skipped');
  }

  /**
   * @param now of the monotonic clock, milliseconds
   * @param only these of the servers; all when left out
   */
  begin(now: number, timeout: number, only?: readonly string[]): RestartReport | OrderRefused {
    const current = this.current();
    if (current) return { orderRefused: `A restart is under way: ${current.name} is ${current.state}` };
    const names = this.servers.names().filter((name) => only?.includes(name) ?? true);
    if (names.length === 0) return { orderRefused: 'There are no managed servers; static ones are restarted by who runs them, after skyport drain' };
    this.steps = names.map((name) => ({ name, state: 'waiting' }));
    this.failure = undefined;
    this.deadline = now + timeout;
    this.tick(now);
    return this.report();
  }

  report(): RestartReport {
    const servers = this.steps.map(({ name, state }) => {
      const backend = state === 'draining' ? this.servers.backend(name) : undefined;
      return { name, state, ...(backend ? this.servers.load(backend) : NOTHING) };
    });
    return { running: this.running, servers, failure: this.failure };
  }

  /** Janitor: takes the next step, if it is time. @param now of the monotonic clock, milliseconds */
  tick(now: number): void {
    const step = this.current();
    if (!step) return;
    const backend = this.servers.backend(step.name);
    if (step.state !== 'stopping' && !this.servers.names().includes(step.name)) {
      this.reopen();
      this.enter(step, 'skipped');
      return;
    }
    switch (step.state) {
      case 'waiting':
        this.looks = 0;
        // One that is not up has nothing loaded; a new start, without its back-off, may be what it needs.
        if (!backend?.up) this.stop(step);
        else this.close(backend, step, now);
        break;
      case 'draining':
        if (!backend?.up) this.stop(step);
        else this.drain(backend, step, now);
        break;
      case 'starting':
        this.await(backend, step);
        break;
      case 'stopping':
    }
    if (this.current() === step && step.state !== 'stopping' && now >= this.deadline) this.fail(step, 'the time was up');
  }

  private current(): Step | undefined {
    if (this.failure !== undefined) return undefined;
    return this.steps.find(({ state }) => state !== 'done' && state !== 'skipped');
  }

  private close(backend: Backend, step: Step, now: number): void {
    backend.restarting = true;
    this.closed = backend;
    this.changedAt = now;
    if (step.state === 'draining') return;
    this.enter(step, 'draining');
  }

  private reopen(): void {
    if (this.closed) this.closed.restarting = false;
    this.closed = undefined;
  }

  private drain(backend: Backend, step: Step, now: number): void {
    if (backend.restarting) {
      this.looks = this.servers.isEmpty(backend) ? this.looks + 1 : 0;
      if (this.looks >= LOOKS) this.stop(step);
      else if (now - this.changedAt >= CLOSED_AT_MOST && !this.servers.hasSubstitute(backend)) {
        this.reopen();
        this.changedAt = now;
      }
    } else if (now - this.changedAt >= OPEN_AT_LEAST || this.servers.hasSubstitute(backend) || this.servers.load(backend).turnsOpen === 0) {
      this.close(backend, step, now);
    }
  }

  private stop(step: Step): void {
    this.enter(step, 'stopping');
    this.servers.startAnew(step.name).then(
      () => this.enter(step, 'starting'),
      (error: unknown) => {
        channels.bug.publish({ where: 'restart', error });
        this.fail(step, 'it could not be ended; the log has the details');
      },
    );
  }

  private await(backend: Backend | undefined, step: Step): void {
    const trouble = this.servers.trouble(step.name);
    if (backend?.up) {
      this.reopen();
      this.enter(step, 'done');
    } else if (trouble !== undefined) {
      this.fail(step, `it does not come up: ${trouble}`);
    }
  }

  private fail(step: Step, why: string): void {
    const { state } = step;
    const backend = this.servers.backend(step.name);
    const { sessionsLoaded, turnsOpen } = backend ? this.servers.load(backend) : NOTHING;
    const left = state === 'draining' ? ` (loaded sessions: ${sessionsLoaded}, open turns: ${turnsOpen})` : '';
    this.failure = `${step.name} was not restarted while ${state}${left}: ${why}`;
    this.reopen();
    this.enter(step, 'failed');
  }

  private enter(step: Step, to: RestartState): void {
    channels.backendRestart.publish({ backend: step.name, from: step.state, to, reason: to === 'failed' ? this.failure : undefined });
    step.state = to;
  }
}

/** The managed servers as the rooms know them. */
export function managedServers(fleet: Fleet, { directory, moves, pool }: Services, mover: Mover): Servers {
  return {
    // A spare has nothing that would be worth a new start.
    names: () => fleet.list().filter(({ state, tenancy }) => state !== 'leaving' && state !== 'stopping' && tenancy.kind !== 'spare').map(({ name }) => name),
    backend: (name) => pool.get(name),
    isEmpty: (backend) => isEmpty(backend, { directory, moves, pool }),
    load: (backend) => ({
      sessionsLoaded: directory.loaded(backend.name),
      sessionsStaying: mover.staying(backend),
      turnsOpen: directory.turnsOpen(backend.name),
    }),
    hasSubstitute: (backend) => moves && pool.mayDoWithout(backend),
    startAnew: (name) => {
      // Its links are closed first: a server that ends in order is none that has failed.
      pool.managedDown(name, 'skyport restart');
      return fleet.retire(name);
    },
    trouble: (name) => fleet.list().find((member) => member.name === name && member.crashLoop)?.lastExit,
  };
}
