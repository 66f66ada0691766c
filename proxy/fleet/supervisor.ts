/**
 * The managed servers of this Skyport: `managed-1` to `managed-<count>` and `managed-canary-<n>`, which
 * users share, and `managed-u<n>`, which are one user's each, or spares.
 *
 * The fleet knows processes only. It neither probes nor drains: who holds sessions on a server says
 * when it hangs (`kill`), when a fresh one shall take its place (`renew`) and when it may go (`retire`).
 */
import { availableParallelism } from 'node:os';
import { ownerOf } from './confinement.js';
import { Homes } from './homes.js';
import type { Claim } from './line.js';
import { fleetId } from './marker.js';
import { Member, type MemberEvents, type MemberHost, type MemberStatus } from './member.js';
import type { FleetOptions } from './options.js';
import { endOrphans } from './orphans.js';
import type { Owner } from './owner.js';
import { Starts } from './starts.js';
import { outfitOf, type Tenancy } from './tenancy.js';
import { Tenants, type Use } from './tenants.js';

export type { FleetOptions } from './options.js';

export interface FleetEvents extends MemberEvents {
  /** The server is one too many now: drain it, then call `retire`. Without this event it is retired at once. */
  onRemoved?(name: string, reason: string): void;
  /** An earlier Skyport on this directory had left processes running; they have been killed. */
  onOrphansEnded?(processes: number): void;
  /** Asked before a user's server is stopped for being idle. Without it none is ever busy. */
  use?(name: string): Use;
}

/**
 * A start is mostly work of a processor, 11 ms with runtime 1.0.85: with more at once each takes longer,
 * and none is done earlier. A few that hang until their time-out must leave room for the others.
 */
const STARTS_AT_ONCE = Math.max(8, 4 * availableParallelism());

export class Fleet {
  readonly #events: FleetEvents;
  readonly #random: () => number;
  readonly #shared = new Map<string, Member>();
  readonly #homes: Homes;
  readonly #tenants: Tenants;
  readonly #retiring = new Map<string, Promise<void>>();
  readonly #starts = new Starts(STARTS_AT_ONCE);
  #options: FleetOptions;
  #host: MemberHost | undefined;
  #runs = 0;
  #running = false;
  #stopped: Promise<void> | undefined;
  #orphansEnded: Promise<void> = Promise.resolve();

  /** @param random uniform in [0, 1), for the jitter of the restart back-off */
  constructor(options: FleetOptions, events: FleetEvents, random: () => number = Math.random) {
    this.#options = options;
    this.#events = events;
    this.#random = random;
    this.#homes = new Homes(options.directory);
    this.#tenants = this.#tenantsOf();
  }

  /**
   * Kills what an earlier Skyport on this directory left running, then starts the servers.
   * @throws the file system's error when the directory cannot be written
   */
  start(): void {
    if (this.#host !== undefined || this.#stopped !== undefined) return;
    const id = fleetId(this.#options.directory);
    this.#homes.load();
    this.#host = this.#hostOf(id);
    this.#running = true;
    const unclaimed = this.#homes.spares();
    this.#orphansEnded = endOrphans(id).then((killed) => {
      if (killed > 0) this.#events.onOrphansEnded?.(killed);
      // Nobody has got these, and what an earlier Skyport started there is gone.
      for (const { name } of unclaimed) void this.#homes.remove(name);
    });
    this.#fill();
    this.#tenants.update();
  }

  /**
   * New options. How many servers there are is acted on now, the highest numbers leave first; a server
   * that was started with something else is `outdated` until it is renewed or started again, so that a
   * reload ends nobody's session. `directory` stays.
   */
  update(options: FleetOptions): void {
    this.#options = { ...options, directory: this.#options.directory };
    if (!this.#running) return;
    for (const member of [...this.#shared.values()].sort((a, b) => numberOf(b.name) - numberOf(a.name))) {
      const wanted = this.#wants(member);
      if (wanted && member.state === 'leaving') member.keep();
      if (!wanted && member.state !== 'leaving' && member.state !== 'stopping') this.#dismiss(member, 'the fleet shrinks');
      member.refresh();
    }
    this.#fill();
    this.#tenants.update();
  }

  /**
   * @returns when the user's own server listens, under this name, or why it does not. Many claims of
   *   one user share one start. A reason may name programs and directories, but holds no secrets.
   */
  claim(user: string): Promise<Claim> {
    return this.#tenants.claim(user);
  }

  /** The name of the user's own server, whether it runs or not; undefined when he has never had one. */
  serverOf(user: string): string | undefined {
    return this.#tenants.serverOf(user);
  }

  /** As whom a user's own server runs; undefined where that is nobody of his own. */
  ownerOf(user: string): Owner | undefined {
    const name = this.serverOf(user);
    return ownerOf(outfitOf(this.#options, { kind: 'user', user }, false, name === undefined ? undefined : this.#uidOf(name)).confinement);
  }

  /** Users who wait for a place. */
  get waiting(): number {
    return this.#tenants.waiting;
  }

  /** Idle stops, spares, the line of those who wait. @param now unix time in ms */
  tick(now: number): void {
    this.#tenants.tick(now);
  }

  /**
   * Kills a server that hangs, with its process group, and starts it again after its back-off.
   * @param run left out: the one that serves; no other one is meant then
   */
  kill(name: string, reason: string, run?: number): void {
    this.#member(name)?.kill(reason, run);
  }

  /**
   * Starts a successor under the same name and in the same home; `onSucceeded` when it listens. One that
   * does not start leaves everything as it was, and the next one has to wait for a back-off.
   * @returns false when one is under way or has just failed, or when the server does not run
   */
  renew(name: string, reason: string): boolean {
    return this.#running && this.#member(name)?.renew(reason) === true;
  }

  /**
   * Ends a server, SIGTERM first. If the name is wanted again by then, a new server takes it.
   * @param run one that has been succeeded is ended alone; left out: whatever runs under the name
   * @returns when it and all that it started are gone
   */
  retire(name: string, run?: number): Promise<void> {
    const member = this.#member(name);
    if (member === undefined) return Promise.resolve();
    if (run !== undefined && !member.isCurrent(run)) return member.endRun(run);
    const underWay = this.#retiring.get(name);
    if (underWay !== undefined) return underWay;
    const done = member.end().then(() => {
      this.#retiring.delete(name);
      if (!this.#shared.delete(name)) this.#tenants.ended(member);
      else if (this.#running) this.#fill();
    });
    this.#retiring.set(name, done);
    return done;
  }

  /** Ends all servers. The fleet cannot be started again. */
  stop(): Promise<void> {
    this.#running = false;
    this.#tenants.close();
    this.#stopped ??= this.#orphansEnded.then(async () => {
      await Promise.all([...this.#members()].map(({ name }) => this.retire(name)));
      await this.#homes.flush();
    });
    return this.#stopped;
  }

  /**
   * For a process that is about to exit: kills the process groups of all servers before it returns.
   * What their tools started in sessions of their own is left to the next start on this directory.
   */
  killNow(): void {
    this.#running = false;
    this.#starts.close();
    for (const member of this.#members()) member.killAll('Skyport ended');
  }

  /** Shared servers first, then canaries, then users' and spares, each by number. */
  list(): MemberStatus[] {
    return this.#members()
      .sort((a, b) => rankOf(a) - rankOf(b) || numberOf(a.name) - numberOf(b.name))
      .map((member) => member.status());
  }

  #members(): Member[] {
    return [...this.#shared.values(), ...this.#tenants.all()];
  }

  #member(name: string): Member | undefined {
    return this.#shared.get(name) ?? this.#tenants.get(name);
  }

  #hostOf(id: string): MemberHost {
    const options = () => this.#options;
    return {
      id,
      get options() { return options(); },
      events: this.#events,
      random: this.#random,
      starts: this.#starts,
      nextRun: () => ++this.#runs,
      outfitOf: ({ name, tenancy, isCanary }) => outfitOf(this.#options, tenancy, isCanary, this.#uidOf(name)),
      isUrgent: ({ tenancy }) => tenancy.kind !== 'spare',
      wants: (member) => this.#wants(member),
      settled: (member) => this.#tenants.settled(member),
      left: (member) => { void this.retire(member.name); },
    };
  }

  #tenantsOf(): Tenants {
    const options = () => this.#options;
    const isRunning = () => this.#running;
    return new Tenants({
      get options() { return options(); },
      get isRunning() { return isRunning(); },
      create: (name, tenancy) => this.#create(name, tenancy),
      dismiss: (member, reason) => this.#dismiss(member, reason),
      use: (name) => this.#events.use?.(name) ?? { busy: false, usedAt: 0 },
    }, this.#homes);
  }

  /** One that the home was given while `fleet.uids` was set does not count without it. */
  #uidOf(name: string): number | undefined {
    return this.#options.tenants?.uids && this.#homes.get(name)?.uid;
  }

  #wants({ name, tenancy, isCanary }: Member): boolean {
    if (!this.#running) return false;
    if (tenancy.kind !== 'shared') return this.#options.tenants !== undefined;
    const { count, canary } = this.#options;
    return numberOf(name) <= (isCanary ? (count > 0 ? canary?.count ?? 0 : 0) : count);
  }

  /** Starts every wanted shared server that does not exist yet. */
  #fill(): void {
    const { count, canary } = this.#options;
    for (let number = 1; number <= count; number++) this.#share(`managed-${number}`, false);
    for (let number = 1; count > 0 && number <= (canary?.count ?? 0); number++) this.#share(`managed-canary-${number}`, true);
  }

  #share(name: string, isCanary: boolean): void {
    if (!this.#shared.has(name)) this.#shared.set(name, this.#create(name, { kind: 'shared' }, isCanary));
  }

  #create(name: string, tenancy: Tenancy, isCanary = false): Member {
    const member = new Member(name, tenancy, isCanary, this.#host!);
    // The orphan of an earlier server may still be writing to the files of this one.
    void this.#orphansEnded.then(() => member.launch());
    return member;
  }

  #dismiss(member: Member, reason: string): void {
    const wasReady = member.isReady;
    member.dismiss();
    if (wasReady && this.#events.onRemoved !== undefined) this.#events.onRemoved(member.name, reason);
    else void this.retire(member.name);
  }
}

function numberOf(name: string): number {
  return Number(/\d+$/.exec(name)?.[0] ?? 0);
}

function rankOf({ tenancy, isCanary }: Member): number {
  return tenancy.kind === 'shared' ? Number(isCanary) : 2;
}
