/**
 * The pool: every backend, static and managed, under one roof. It places new sessions and finds
 * the backend an existing one is bound to.
 */
import { refuse, type Refusal } from '../protocol/errors.js';
import { createPolicy, type Policy, type PolicyName } from '../routing/policy.js';
import { Backend, type BackendEvents, type BackendSettings } from './backend.js';
import type { SessionLink } from '../sessions/attachment.js';
import { addTraffic, noTraffic, type Traffic } from '../wire/traffic.js';
import type { Address } from './dial.js';
import { pick, type PlaceAsk } from './placing.js';
import type { SessionFileSystem } from './provider.js';
import { UsualProfile } from './usual-profile.js';
import { EVERYBODY_SHARES, serves, SHARED, type Tenancy, type Tenants } from './tenancy.js';

export interface StaticBackend extends BackendSettings {
  readonly name: string;
  readonly address: Address;
}

export interface PoolEvents extends Omit<BackendEvents, 'mayEject'> {
  onRemoved(backend: Backend): void;
}

/** How many sessions a backend has loaded, how many turns are open on it. */
export interface Load {
  loaded(backend: string): number;
  turnsOpen(backend: string): number;
}

/** A managed server that listens. */
export interface Started {
  readonly name: string;
  readonly address: Address;
  readonly tenancy?: Tenancy;
  readonly canary?: boolean;
  /** Names its process. */
  readonly run?: number;
}

/** As of the directory's places; a backend's own name has no colon. */
const PEER_NAME = 'skyport:';

export class Pool {
  readonly usual = new UsualProfile();
  private readonly past: Traffic = noTraffic();
  private readonly backends = new Map<string, Backend>();
  /** Taken out of the configuration, or replaced by one of the same name at another address. */
  private readonly leaving = new Set<Backend>();
  private readonly addresses = new Map<string, string>();
  /** Other Skyports, by instance: reached like servers, and given no sessions. */
  private readonly peers = new Map<string, Backend>();
  private readonly backendEvents: BackendEvents;
  private readonly waiters = new Set<(backend: Backend) => void>();
  private policy: Policy;

  constructor(
    private policyName: PolicyName,
    private readonly load: Load,
    private readonly events: PoolEvents,
    /** Who keeps the sessions' files for all backends; left out where each does so itself. */
    private readonly files?: SessionFileSystem,
    private readonly tenants: Tenants = EVERYBODY_SHARES,
  ) {
    this.policy = createPolicy(policyName);
    this.backendEvents = {
      ...events,
      mayEject: (backend) => this.mayDoWithout(backend),
      onUp: (backend) => this.onUp(backend),
    };
  }

  setPolicy(name: PolicyName): void {
    if (name === this.policyName) return;
    this.policyName = name;
    this.policy = createPolicy(name);
  }

  get(name: string): Backend | undefined {
    return this.backends.get(name);
  }

  /** In the order of the configuration; those that are leaving come last. */
  all(): Backend[] {
    return [...this.backends.values(), ...this.leaving];
  }

  names(): string[] {
    return [...this.backends.keys()];
  }

  /**
   * Where a new session goes.
   * @param except a backend that has just failed this ask
   */
  place(ask: PlaceAsk, except?: ReadonlySet<string>): Backend | Refusal {
    const name = pick({
      backends: this.backends.values(),
      loaded: (of) => this.load.loaded(of),
      policy: this.policy,
      tenants: this.tenants,
      now: performance.now(),
    }, ask, except);
    return (name !== undefined && this.backends.get(name)) || refuse('SKYPORT_NO_BACKEND');
  }

  /** Whether a user's sessions may be on a backend. */
  serves(backend: Backend, user: string): boolean {
    return serves(backend.tenancy, user, this.tenants.isolated(user));
  }

  /** The user's own server, if it runs. */
  ownOf(user: string): Backend | undefined {
    for (const backend of this.backends.values()) {
      if (backend.tenancy.kind === 'user' && backend.tenancy.user === user) return backend;
    }
    return undefined;
  }

  /**
   * Where a session of this binding is to be found: another Skyport, if it is used through that; a backend that is leaving, as long as it has the
   * session loaded (on `link`) or no other has its name.
   */
  bound(name: string, link?: SessionLink): Backend | undefined {
    const backend = this.backends.get(name);
    for (const peer of link ? this.peers.values() : []) if (peer.links.has(link)) return peer;
    for (const leaving of this.leaving) {
      if (leaving.name === name && leaving.up && (link ? leaving.links.has(link) : !backend)) return leaving;
    }
    return backend;
  }

  /** Whose link that is, of the servers of this Skyport. */
  serving(link: SessionLink): Backend | undefined {
    return this.all().find((backend) => backend.links.has(link));
  }

  /** Another Skyport that has sessions. */
  peer(instance: string): Backend | undefined {
    return this.peers.get(instance);
  }

  /** True for a way to another Skyport. */
  isPeer(backend: Backend): boolean {
    return backend.name.startsWith(PEER_NAME);
  }

  /** Other Skyports, by instance. */
  get others(): ReadonlyMap<string, Backend> {
    return this.peers;
  }

  /** The other Skyports there are now, by instance. Those that are gone are let go. */
  setPeers(wanted: ReadonlyMap<string, Address>, settings: BackendSettings): void {
    for (const [instance, peer] of this.peers) {
      if (wanted.has(instance)) continue;
      this.peers.delete(instance);
      peer.close('the other Skyport is gone');
      addTraffic(this.past, peer.traffic());
    }
    for (const [instance, address] of wanted) {
      const known = this.peers.get(instance);
      known?.update(settings);
      if (known) continue;
      const peer = new Backend(`${PEER_NAME}${instance}`, 'static', settings, { ...this.backendEvents, mayEject: () => false });
      this.peers.set(instance, peer);
      peer.setAddress(address, 'found');
    }
  }

  /** Whether another backend could take over what this one fails at. */
  mayDoWithout(backend: Backend): boolean {
    if (backend.tenancy.kind !== 'shared') return false;
    return [...this.backends.values()].some((other) => other !== backend && other.eligible && other.tenancy.kind === 'shared');
  }

  /**
   * A backend that answers, for calls that belong to no session.
   * @param user whose; left out, any that there is
   */
  anyUp(user?: string): Backend | undefined {
    const may = (backend: Backend): boolean => user === undefined || this.serves(backend, user);
    for (const backend of this.backends.values()) if (backend.eligible && may(backend)) return backend;
    for (const backend of this.backends.values()) if (backend.up && may(backend)) return backend;
    return undefined;
  }

  /** One that answers what is the same on all of them: his own rather than another one. At once or as soon as one comes up; undefined after `ms` without. */
  async whenUp(ms: number, user?: string): Promise<Backend | undefined> {
    const deadline = performance.now() + ms;
    for (;;) {
      const up = this.anyUp(user) ?? this.anyUp();
      const left = deadline - performance.now();
      if (up || left <= 0) return up;
      // It may be another Skyport that comes up.
      await this.nextUp(left);
    }
  }

  /** The next backend, or other Skyport, that comes up; undefined after `ms` without. */
  nextUp(ms: number): Promise<Backend | undefined> {
    return new Promise((resolve) => {
      const waiter = (backend: Backend): void => {
        clearTimeout(deadline);
        resolve(backend);
      };
      const deadline = setTimeout(() => {
        this.waiters.delete(waiter);
        resolve(undefined);
      }, ms);
      this.waiters.add(waiter);
    });
  }

  /** Brings the static backends in line with the configuration: adds, re-weights, lets go. */
  setStatic(wanted: readonly StaticBackend[]): void {
    const names = new Set(wanted.map((backend) => backend.name));
    for (const backend of [...this.backends.values()]) {
      if (backend.kind === 'static' && !names.has(backend.name)) this.letGo(backend, 'removed from the configuration');
    }
    for (const spec of wanted) {
      const { name, address, ...settings } = spec;
      const where = JSON.stringify(address);
      const existing = this.backends.get(name);
      if (existing && this.addresses.get(name) === where) {
        existing.update(settings);
        continue;
      }
      if (existing) this.letGo(existing, 'its address changed');
      const backend = this.add(name, 'static', settings);
      this.addresses.set(name, where);
      backend.setAddress(address, 'configured');
    }
  }

  /**
   * A managed server came up, at first or again; or one that is up has become somebody's. While another
   * process of its name is there, that one is let go: it is drained, and told of by `onRemoved`.
   */
  managedUp(started: Started, settings: BackendSettings): void {
    const { name, address, tenancy = SHARED, canary = false, run } = started;
    let backend = this.backends.get(name) ?? this.takeBack(name, run);
    if (backend?.hasAddress && backend.run !== run) {
      this.letGo(backend, 'a fresh one has taken its place');
      backend = undefined;
    }
    backend ??= this.add(name, 'managed', settings);
    if (backend.tenancy.kind === 'spare') backend.links.keep(performance.now());
    backend.tenancy = tenancy;
    backend.canary = canary;
    backend.run = run;
    backend.update(settings);
    backend.setAddress(address, 'started');
  }

  /** @param run which process of that name; left out, the one that sessions go to */
  managedDown(name: string, reason: string, run?: number): void {
    if (run === undefined) this.backends.get(name)?.setAddress(undefined, reason);
    else for (const backend of this.all()) if (backend.name === name && backend.run === run) backend.setAddress(undefined, reason);
  }

  /** It is one too many: the server may be stopped when `onRemoved` tells so. */
  managedRemove(name: string, reason: string): void {
    const backend = this.backends.get(name);
    if (backend) this.letGo(backend, reason);
  }

  updateManaged(settings: BackendSettings): void {
    for (const backend of this.backends.values()) if (backend.kind === 'managed') backend.update(settings);
  }

  /** Janitor: probes that are due, idle links, backends that have become empty. */
  tick(now: number, linkIdleMs: number): void {
    for (const backend of this.all()) {
      backend.tick(now);
      // A spare's wait for its user.
      if (backend.tenancy.kind !== 'spare') backend.links.closeIdle(now, linkIdleMs);
    }
    for (const peer of this.peers.values()) {
      peer.tick(now);
      peer.links.closeIdle(now, linkIdleMs);
    }
    for (const backend of this.leaving) {
      if (!this.busy(backend)) this.removeNow(backend);
    }
  }

  /** Totals over all backends, also those that are gone. */
  traffic(): Traffic {
    const sum = { ...this.past };
    for (const backend of this.everyone()) addTraffic(sum, backend.traffic());
    return sum;
  }

  close(): void {
    for (const backend of this.everyone()) backend.close('shutting down');
  }

  private add(name: string, kind: 'static' | 'managed', settings: BackendSettings): Backend {
    const backend = new Backend(name, kind, settings, this.backendEvents, this.files);
    this.backends.set(name, backend);
    if (kind === 'managed') this.order();
    return backend;
  }

  /** Managed servers come last, by their names: which of them is up first is chance. */
  private order(): void {
    const managed = [...this.backends.values()].filter(({ kind }) => kind === 'managed');
    managed.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
    for (const backend of managed) {
      this.backends.delete(backend.name);
      this.backends.set(backend.name, backend);
    }
  }

  /** Reads nothing of any server, until `resume`. */
  pause(): void {
    for (const backend of this.everyone()) backend.links.pause();
  }

  resume(): void {
    for (const backend of this.everyone()) backend.links.resume();
  }

  private everyone(): Backend[] {
    return [...this.all(), ...this.peers.values()];
  }

  private onUp(backend: Backend): void {
    const waiters = [...this.waiters];
    this.waiters.clear();
    for (const waiter of waiters) waiter(backend);
    this.events.onUp(backend);
  }

  /** The fleet grows again before the server has gone. */
  private takeBack(name: string, run: number | undefined): Backend | undefined {
    for (const backend of this.leaving) {
      if (backend.kind !== 'managed' || backend.name !== name || backend.run !== run) continue;
      this.leaving.delete(backend);
      backend.removed = false;
      this.backends.set(name, backend);
      this.order();
      return backend;
    }
    return undefined;
  }

  private letGo(backend: Backend, reason: string): void {
    backend.removed = true;
    backend.lastError = reason;
    this.backends.delete(backend.name);
    this.addresses.delete(backend.name);
    this.leaving.add(backend);
  }

  private busy(backend: Backend): boolean {
    return backend.links.attached > 0 || backend.links.waiting > 0;
  }

  private removeNow(backend: Backend): void {
    this.leaving.delete(backend);
    backend.close('removed');
    addTraffic(this.past, backend.traffic());
    this.events.onRemoved(backend);
  }
}
