/**
 * The servers of users who have one of their own, and the spares that become such: who gets a place,
 * who gives one up, and who waits.
 *
 *   claim(user) ─▶ runs: at once
 *               ─▶ runs not, is starting: waits for it
 *               ─▶ a new user, a spare fits: gets the spare
 *               ─▶ a place is free: starts
 *               ─▶ else stands in line; a spare, or who was idle for longest, gives up a place
 */
import type { Home, Homes } from './homes.js';
import { Line, type Claim } from './line.js';
import type { Member } from './member.js';
import type { FleetOptions, TenantOptions } from './options.js';
import { outfitOf, type Tenancy } from './tenancy.js';

/** What the sessions of a server tell of it. */
export interface Use {
  /** Something goes on there that must not be disturbed. */
  readonly busy: boolean;
  /** When something was last done there; unix time in ms. */
  readonly usedAt: number;
}

export interface TenantsHost {
  readonly options: FleetOptions;
  readonly isRunning: boolean;
  /** A member that is started as soon as may be. */
  create(name: string, tenancy: Tenancy): Member;
  /** Has it drained and ended; `ended` is called then. */
  dismiss(member: Member, reason: string): void;
  use(name: string): Use;
}

/** Whoever has just got a server is about to use it, ms. */
const ABOUT_TO_USE = 1_000;

export class Tenants {
  readonly #host: TenantsHost;
  readonly #homes: Homes;
  readonly #line = new Line();
  readonly #members = new Map<string, Member>();
  /** When each server was last claimed, and given; unix time in ms. */
  readonly #claimedAt = new Map<string, number>();

  constructor(host: TenantsHost, homes: Homes) {
    this.#host = host;
    this.#homes = homes;
  }

  get(name: string): Member | undefined {
    return this.#members.get(name);
  }

  all(): Iterable<Member> {
    return this.#members.values();
  }

  /** Users who wait for a place. */
  get waiting(): number {
    return this.#line.length;
  }

  /** The name of the user's server, whether it runs or not; undefined when he has never had one. */
  serverOf(user: string): string | undefined {
    return this.#homes.of(user)?.name;
  }

  claim(user: string, now = Date.now()): Promise<Claim> {
    const { tenants } = this.#host.options;
    if (!this.#host.isRunning) return Promise.resolve(failed('the fleet does not run'));
    if (tenants === undefined) return Promise.resolve(failed('no user has a server of his own'));
    const own = this.#own(user);
    if (own !== undefined) {
      this.#claimedAt.set(own.name, now);
      // Nobody needs its place, so it may stay.
      if (own.state === 'leaving' && this.#line.length === 0) own.keep();
      if (own.state === 'ready') return Promise.resolve({ name: own.name });
      if (!isEnding(own) && own.isCrashLooping) return Promise.resolve(failed(own.lastExit ?? 'it dies again and again'));
    }
    const claim = this.#line.wait(user, tenants.wait, () => this.#whyNot(user, tenants));
    if (own === undefined || isEnding(own)) {
      this.#line.enter(user);
      this.#admit(tenants, now);
      if (own === undefined && this.#line.has(user) && this.#line.length > tenants.waiting) {
        this.#line.answer(user, { refused: 'full', reason: `${tenants.waiting} other users wait for a server` });
      } else {
        // A spare that was given is replaced by the next tick(): starting a process takes longer than the claim.
        this.#makeRoom(tenants, now);
      }
    } else {
      own.urge();
    }
    return claim;
  }

  /** Stops what is idle, lets in who waits, keeps the spares. @param now unix time in ms */
  tick(now: number): void {
    const { tenants } = this.#host.options;
    if (!this.#host.isRunning || tenants === undefined) return;
    for (const member of [...this.#members.values()]) {
      if (member.tenancy.kind !== 'user' || !this.#isIdle(member)) continue;
      if (now - this.#usedAt(member) >= tenants.idleStop) this.#host.dismiss(member, 'idle');
    }
    this.#advance(tenants, now);
  }

  /** The options have changed, or the fleet has just started. */
  update(): void {
    const { tenants } = this.#host.options;
    if (tenants === undefined) {
      this.#line.answerAll(failed('no user has a server of his own any more'));
      for (const member of [...this.#members.values()]) {
        if (!isEnding(member)) this.#host.dismiss(member, 'no user has a server of his own any more');
      }
      return;
    }
    for (const member of this.#members.values()) {
      this.#allotUid(member.name, tenants);
      member.refresh();
    }
    this.#advance(tenants, Date.now());
  }

  /** A member listens, or a start or run of it came to its end. */
  settled(member: Member): void {
    if (member.tenancy.kind !== 'user') return;
    const { user } = member.tenancy;
    if (member.state === 'ready') {
      if (this.#line.isAwaited(user)) this.#claimedAt.set(member.name, Date.now());
      this.#line.answer(user, { name: member.name });
    } else if (!isEnding(member) && member.isCrashLooping) {
      this.#line.answer(user, failed(member.lastExit ?? 'it dies again and again'));
    }
  }

  /** A member and all that it started are gone. */
  ended(member: Member): void {
    this.#members.delete(member.name);
    const { tenancy } = member;
    const { tenants } = this.#host.options;
    if (tenancy.kind === 'spare') void this.#homes.remove(member.name);
    if (!this.#host.isRunning || tenants === undefined) {
      this.#claimedAt.delete(member.name);
      return;
    }
    // It was to be started anew, no more.
    if (tenancy.kind === 'user' && !member.isDismissed) this.#start(member.name, tenancy);
    else this.#claimedAt.delete(member.name);
    this.#advance(tenants, Date.now());
  }

  /** The fleet stops. */
  close(): void {
    this.#line.answerAll(failed('the fleet does not run'));
  }

  #own(user: string): Member | undefined {
    const home = this.#homes.of(user);
    return home && this.#members.get(home.name);
  }

  #advance(tenants: TenantOptions, now: number): void {
    this.#admit(tenants, now);
    this.#makeRoom(tenants, now);
    this.#keepSpares(tenants);
  }

  /** Gives places to those in line, nobody before somebody who came earlier. */
  #admit(tenants: TenantOptions, now: number): void {
    for (const user of this.#line.users()) {
      const own = this.#own(user);
      if (own !== undefined) {
        // His server is just being stopped: he starts it again when it has ended.
        if (isEnding(own)) continue;
        this.#line.leave(user);
        continue;
      }
      const home = this.#homes.of(user);
      const spare = home === undefined ? this.#fittingSpare(user) : undefined;
      if (spare !== undefined) this.#give(spare, user, now);
      else if (this.#members.size < tenants.maxServers) this.#begin(home ?? this.#homes.create(user), user, tenants, now);
      else break;
    }
  }

  #give(spare: Member, user: string, now: number): void {
    this.#homes.give(spare.name, user);
    this.#claimedAt.set(spare.name, now);
    this.#line.leave(user);
    spare.give(user);
    if (spare.state === 'ready') this.#line.answer(user, { name: spare.name });
  }

  #begin(home: Home, user: string, tenants: TenantOptions, now: number): void {
    this.#line.leave(user);
    const hasUid = Object.hasOwn(tenants.users, user) && tenants.users[user]?.uid !== undefined;
    if (!hasUid && !this.#allotUid(home.name, tenants)) {
      this.#line.answer(user, failed('no uid is left in fleet.uids'));
      return;
    }
    this.#claimedAt.set(home.name, now);
    this.#start(home.name, { kind: 'user', user });
  }

  #start(name: string, tenancy: Tenancy): void {
    this.#members.set(name, this.#host.create(name, tenancy));
  }

  /** Has as many servers stop as are needed for those in line, spares first. */
  #makeRoom({ maxServers }: TenantOptions, now: number): void {
    const members = [...this.#members.values()];
    let needed = this.#line.length + members.length - maxServers - members.filter(isEnding).length;
    if (needed <= 0) return;
    const spares = members.filter((member) => member.tenancy.kind === 'spare' && !isEnding(member));
    const idle = members
      .filter((member) => member.tenancy.kind === 'user' && this.#isIdle(member) && now - (this.#claimedAt.get(member.name) ?? 0) >= ABOUT_TO_USE)
      .sort((a, b) => this.#usedAt(a) - this.#usedAt(b));
    for (const member of [...spares.sort(leastReadyFirst), ...idle]) {
      if (needed-- <= 0) return;
      this.#host.dismiss(member, 'its place is needed');
    }
  }

  #keepSpares(tenants: TenantOptions): void {
    const members = [...this.#members.values()];
    const spares = members.filter((member) => member.tenancy.kind === 'spare' && !isEnding(member));
    const room = tenants.maxServers - (members.length - spares.length);
    const wanted = Math.max(0, Math.min(tenants.spares, room));
    if (this.#line.length === 0) {
      for (let n = spares.length; n < wanted; n++) this.#startSpare(tenants);
    }
    for (const spare of spares.sort(leastReadyFirst).slice(0, Math.max(0, spares.length - wanted))) {
      this.#host.dismiss(spare, 'fewer spares are kept');
    }
  }

  #startSpare(tenants: TenantOptions): void {
    const home = this.#homes.create();
    if (this.#allotUid(home.name, tenants)) this.#start(home.name, { kind: 'spare' });
    else void this.#homes.remove(home.name);
  }

  /** One that was started with just what this user's would be started with; one that listens, if any does. */
  #fittingSpare(user: string): Member | undefined {
    let found: Member | undefined;
    for (const member of this.#members.values()) {
      // One that has just died waits for its back-off.
      if (member.tenancy.kind !== 'spare' || (member.state !== 'ready' && member.state !== 'starting')) continue;
      if (found !== undefined && !member.isReady) continue;
      const { key } = outfitOf(this.#host.options, { kind: 'user', user }, false, this.#homes.get(member.name)?.uid);
      // One that has not been started yet will be started with what its user needs.
      if (member.outfit !== undefined && member.outfit.key !== key) continue;
      found = member;
      if (member.isReady) break;
    }
    return found;
  }

  #allotUid(name: string, { uids, users }: TenantOptions): boolean {
    if (uids === undefined) return true;
    return this.#homes.allotUid(name, uids, new Set(Object.values(users).flatMap(({ uid }) => uid ?? [])));
  }

  #isIdle(member: Member): boolean {
    return !isEnding(member) && !member.isRenewing && !this.#isAwaited(member) && !this.#host.use(member.name).busy;
  }

  #isAwaited({ tenancy }: Member): boolean {
    return tenancy.kind === 'user' && this.#line.isAwaited(tenancy.user);
  }

  /** Unix time in ms. */
  #usedAt(member: Member): number {
    return Math.max(this.#host.use(member.name).usedAt, this.#claimedAt.get(member.name) ?? 0);
  }

  #whyNot(user: string, { wait, maxServers }: TenantOptions): string {
    if (this.#line.has(user)) return `none of ${maxServers} servers became free within ${wait} ms`;
    const lastExit = this.#own(user)?.lastExit;
    return `it did not start within ${wait} ms${lastExit === undefined ? '' : `: ${lastExit}`}`;
  }
}

function isEnding({ state }: Member): boolean {
  return state === 'leaving' || state === 'stopping';
}

function leastReadyFirst(a: Member, b: Member): number {
  return Number(a.isReady) - Number(b.isReady);
}

function failed(reason: string): Claim {
  return { refused: 'failed', reason };
}
