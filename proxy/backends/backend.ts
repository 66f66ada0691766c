/**
 * A backend: one CLI server, and the links to it.
 *
 * A control link, used by nobody else, carries the health pings and, where Skyport keeps the sessions'
 * state, the server's requests for it: there the server is of no use without this very link, and the
 * link stays open while the server is out of service. The other links are opened when they are needed:
 * the first `links.base` so that attachments are spread, further ones (up to `links.max`) when a
 * session's second client needs a link of its own.
 */
import { isRefusal, refuse, type Refusal } from '../protocol/errors.js';
import type { Answer } from '../sessions/attachment.js';
import type { Frame } from '../wire/frame.js';
import type { Peek } from '../wire/peek.js';
import { channels } from '../channels.js';
import { Health, type HealthState } from './health.js';
import { dial, sameAddress, type Address, type ConnectResult, type DialFailure } from './dial.js';
import { LeftSessions } from './left-sessions.js';
import type { Link } from './link.js';
import { Links } from './links.js';
import { Latency, Stopwatch } from './latency.js';
import { addTraffic, type Traffic } from '../wire/traffic.js';
import { takesNudges } from './nudge-probe.js';
import { PLAIN, type Profile } from './profile.js';
import { FileService } from './file-service.js';
import type { SessionFileSystem } from './provider.js';
import type { BackendSettings } from './settings.js';
import { SHARED, type Tenancy } from './tenancy.js';
import type { WarmUpModel } from './warm-up-model.js';

export type { BackendSettings } from './settings.js';

/** Answers to `connect` that are kept, one a profile. */
const MAX_HANDSHAKES = 256;

export interface BackendEvents {
  /** A lifecycle or telemetry notification. `control` tells that it came on the control link. */
  onBroadcast(backend: Backend, link: Link, frame: Frame, peeked: Peek): void;
  onUp(backend: Backend): void;
  /** It answers, but its server takes no session file system (any more): only another process of it will. */
  onSpent?(backend: Backend, reason: string): void;
  /** False keeps a backend that fails its callers in service, because there is no other. */
  mayEject(backend: Backend): boolean;
  /** Out of service; its links are closed already. `hung`: it accepted connections and answered nothing. */
  onDown(backend: Backend, reason: string, hung: boolean): void;
}

/** Why a probe was bad. `gone`: no further one is needed to know. */
interface Failure {
  readonly reason: string;
  readonly gone: boolean;
}

/** Backends that there have been in this process. */
let backends = 0;

export class Backend {
  /** Names this very backend: for a while two may have one name. */
  readonly id = ++backends;
  readonly health: Health;
  /** Whose it is. */
  tenancy: Tenancy = SHARED;
  /** It runs `fleet.canary.command`. */
  canary = false;
  /** Which process of the fleet's; undefined for a static one. */
  run: number | undefined;
  /** When it was last used for what belongs to no session, milliseconds since the epoch. */
  usedAt = 0;
  draining = false;
  /** It is drained to be started anew: nothing is loaded on it, also when there is no other. */
  restarting = false;
  /** Taken out of the configuration; goes when nothing is attached any more. */
  removed = false;
  version: string | undefined;
  protocolVersion: number | undefined;
  lastError: string | undefined;
  private address: Address | undefined;
  private control: Link | undefined;
  /** Where a control link is being opened to. */
  private connecting: Address | undefined;
  private readonly service: FileService | undefined;
  private readonly left = new LeftSessions(
    (method, params) => this.ask(method, params, this.settings.health.timeout),
    undefined,
    () => this.events.onSpent?.(this, 'it does not let go of a session that another Skyport has taken over'),
  );
  private nudge = false;
  private closing = false;
  readonly links: Links;
  readonly latency = new Latency();
  private readonly handshakes = new Map<string, ConnectResult>();

  constructor(
    readonly name: string,
    readonly kind: 'static' | 'managed',
    public settings: BackendSettings,
    private readonly events: BackendEvents,
    /** Who keeps the files of its sessions; left out where the server does so itself. */
    files?: SessionFileSystem,
  ) {
    this.service = files && new FileService(name, this.id, files);
    this.health = new Health(settings.health, (from, to, reason) => this.onHealth(from, to, reason), {
      mayEject: () => events.mayEject(this),
    });
    const limits = (): BackendSettings['links'] => this.settings.links;
    const up = (): boolean => this.up;
    this.links = new Links({
      get up() { return up(); },
      get limits() { return limits(); },
      open: (profile) => this.openLink(profile),
    });
  }

  get up(): boolean {
    return this.health.state === 'up' && this.address !== undefined && !this.closing;
  }

  /** May be given sessions. */
  get eligible(): boolean {
    return this.up && !this.draining && !this.removed && !this.restarting;
  }

  /** There is a server behind it. */
  get hasAddress(): boolean {
    return this.address !== undefined;
  }

  /** Which life of its server Skyport is the file system of, from 1; undefined when of none. */
  get incarnation(): number | undefined {
    return this.service?.incarnation;
  }

  /** Where it is now; a managed server changes its port and token at every start. */
  setAddress(address: Address | undefined, reason: string): void {
    // The server that is there already may stay after all: nobody's session ends for it.
    if (address && this.address && sameAddress(address, this.address)) return;
    this.address = address;
    const now = performance.now();
    this.latency.restarted(now);
    this.closeAll(reason);
    // Another process, or none.
    this.left.clear();
    if (!address) {
      this.lastError = reason;
      this.health.connectionLost(now, reason);
      return;
    }
    this.health.restarted(now, reason);
    this.tick(now);
  }

  update(settings: BackendSettings): void {
    this.settings = settings;
    this.health.update(settings.health);
  }

  /**
   * Called by the janitor: probes when it is time. A probe does not wait for the one before.
   * @param now of the monotonic clock, milliseconds
   */
  tick(now: number): void {
    if (!this.address || this.closing || now < this.health.nextProbeAt(now)) return;
    this.health.probeStarted(now);
    void this.probe();
  }

  /** What the server answers to a `connect` with this profile; from memory when it is known. */
  async handshake(profile: Profile): Promise<ConnectResult | Refusal | DialFailure> {
    const known = this.handshakes.get(profile.key);
    if (known) return known;
    const link = await this.links.borrow(profile);
    if (isRefusal(link) || 'kind' in link) return link;
    return link.connected!;
  }

  /** Waits until the server has let go of a session that it had before its link was lost. @returns false when it has it all the same */
  hasUnloaded(sessionId: string): Promise<boolean> {
    return this.left.hasUnloaded(sessionId);
  }

  /** The server has a session as it was when it went elsewhere, until it has let go of it. @param stale another Skyport has it now */
  leaveWith(sessionId: string, stale = true): void {
    this.left.add([sessionId], stale);
  }

  /** Whether a session that has been elsewhere may be given to it now. */
  mayTake(sessionId: string): boolean {
    return this.left.mayTake(sessionId);
  }

  /** A call of Skyport's own on the control link, which is there as long as the backend is up. */
  async ask(method: string, params: object, deadlineMs: number): Promise<Answer | Refusal> {
    return this.control?.usable ? this.control.call(method, params, deadlineMs) : refuse('SKYPORT_BACKEND_UNAVAILABLE');
  }

  /** Has the server do the work of its first turn beforehand (warm-up.ts). @returns why it is not warm; undefined when it is */
  warmUp(model?: WarmUpModel): Promise<string | undefined> {
    return this.service && this.control?.usable ? this.service.warmUp(this.control, model) : Promise.resolve('Skyport is not the file system of its sessions');
  }

  close(reason: string): void {
    this.closing = true;
    this.closeAll(reason);
  }

  /** Totals over all links, also those that are closed. */
  traffic(): Traffic {
    const sum = this.links.traffic();
    if (this.control) addTraffic(sum, this.control.transport);
    return sum;
  }

  isControl(link: Link): boolean {
    return link === this.control;
  }

  private async openLink(profile: Profile): Promise<Link | DialFailure> {
    const { address } = this;
    const opened = await this.dial(profile, this.nudge);
    if ('kind' in opened) {
      if (opened.kind === 'network') this.health.passiveFailure(performance.now(), opened.reason);
      return opened;
    }
    if (!this.up || address !== this.address) {
      opened.link.close('backend is down');
      return { kind: 'network', reason: 'backend is down', refusedByPeer: false };
    }
    this.handshakes.set(profile.key, opened.result);
    // The oldest goes first: a client may call itself whatever it likes, as often as it likes.
    if (this.handshakes.size > MAX_HANDSHAKES) this.handshakes.delete(this.handshakes.keys().next().value!);
    this.links.add(opened.link);
    channels.backendLink.publish({ backend: this.name, change: 'opened', reason: 'needed', links: this.links.count });
    return opened.link;
  }

  private dial(profile: Profile, nudge: boolean): ReturnType<typeof dial> {
    return dial({
      address: this.address!,
      profile,
      nudge,
      timeout: this.settings.health.timeout,
      maxFrame: this.settings.maxFrame,
      events: {
        onBroadcast: (link, frame, peeked) => this.onBroadcast(link, frame, peeked),
        onStateRequest: (link, frame, peeked) => this.onStateRequest(link, frame, peeked),
        onShutdownNotice: () => this.health.shutdownNotice(performance.now()),
        onClosed: (link, reason) => this.onLinkClosed(link, reason),
        onOutcome: (ok, reason) => (ok ? this.health.passiveSuccess(performance.now()) : this.health.passiveFailure(performance.now(), reason)),
      },
    });
  }

  private async probe(): Promise<void> {
    const address = this.address;
    // A server takes one file system: two that tried at the same time would be in each other's way.
    if (this.service && !this.control?.usable && this.connecting === address) return;
    const started = performance.now();
    const failure = (this.control?.usable ? await this.ping(this.control) : await this.connect()) ?? (await this.checkLeft());
    // The answer of a server that has been replaced or given up since says nothing.
    if (failure === 'superseded' || address !== this.address || this.closing) return;
    const now = performance.now();
    if (!failure) {
      this.health.probeOk(now, now - started);
      return;
    }
    this.lastError = failure.reason;
    // Busy, not hung: it talks on its links. What a stopped one had sent comes at once, not this late.
    if (!failure.gone && now - this.heardAt < this.settings.health.timeout / 2) return;
    if (failure.gone) this.health.connectionLost(now, failure.reason);
    else this.health.probeFailed(now, failure.reason);
  }

  /** A server that hung may come back as it was, with sessions that have gone on elsewhere. */
  private async checkLeft(): Promise<Failure | undefined> {
    if (!this.service || this.health.state === 'up') return undefined;
    const count = await this.left.check();
    return count === 0 ? undefined : { reason: `the CLI server may still have ${count} sessions loaded from before its links were lost`, gone: false };
  }

  private get heardAt(): number {
    return Math.max(this.links.heardAt, this.control?.heardAt ?? -Infinity);
  }

  private async ping(control: Link): Promise<Failure | undefined> {
    const watch = new Stopwatch();
    const answer = await control.call('ping', {}, this.settings.health.timeout);
    this.latency.ping(performance.now(), watch.read());
    if (isRefusal(answer)) return { reason: `ping: ${answer.message}`, gone: false };
    return answer.ok ? undefined : { reason: `ping: ${answer.error.message}`, gone: false };
  }

  private async connect(): Promise<Failure | 'superseded' | undefined> {
    const address = this.address!;
    this.connecting = address;
    try {
      return await this.connectControl(address);
    } finally {
      if (this.connecting === address) this.connecting = undefined;
    }
  }

  private async connectControl(address: Address): Promise<Failure | 'superseded' | undefined> {
    const opened = await this.dial(PLAIN, false);
    if ('kind' in opened) {
      // Nobody listens: the process is gone, and with it all that it had.
      if (opened.kind === 'network' && opened.refusedByPeer) this.left.clear();
      return opened.kind === 'answer'
        ? { reason: `connect: ${opened.message}`, gone: false }
        : { reason: opened.reason, gone: opened.refusedByPeer };
    }
    const { link, result } = opened;
    if (this.superseded(address)) {
      link.close('superseded');
      return 'superseded';
    }
    const failure = this.service && (await this.provide(link, this.service, address));
    if (failure || this.superseded(address)) {
      link.close(failure?.reason ?? 'superseded');
      return failure ?? 'superseded';
    }
    this.control = link;
    const { version, protocolVersion } = result;
    if (version !== this.version) {
      this.version = version;
      this.protocolVersion = protocolVersion;
      this.handshakes.clear();
      this.nudge = await takesNudges(address, this.settings.health.timeout);
      channels.backendVersion.publish({ backend: this.name, version, protocolVersion, nudge: this.nudge });
    }
    link.nudged = this.nudge;
    link.serving = this.service !== undefined;
    this.handshakes.set(PLAIN.key, result);
    return undefined;
  }

  /** Somebody else has connected meanwhile, or there is nothing to connect to any more. */
  private superseded(address: Address): boolean {
    return this.control?.usable === true || this.closing || address !== this.address;
  }

  private async provide(link: Link, service: FileService, address: Address): Promise<Failure | undefined> {
    const unusable = await service.begin(link, address.workingDirectory, this.settings.health.timeout);
    if (!unusable) return undefined;
    const { reason, cure } = unusable;
    if (address !== this.address || this.closing) return { reason, gone: false };
    // A change of the state is told anyway; a change of the reason only here.
    if (this.health.state === 'down' && this.lastError !== reason) channels.backendUnusable.publish({ backend: this.name, reason });
    if (cure === 'restart') this.events.onSpent?.(this, reason);
    return { reason, gone: cure !== 'wait' };
  }

  private onBroadcast(link: Link, frame: Frame, peeked: Peek): void {
    if (!this.service?.hears(link, peeked.method, frame)) this.events.onBroadcast(this, link, frame, peeked);
  }

  private onStateRequest(link: Link, frame: Frame, peeked: Peek): boolean {
    return link === this.control && this.service?.answers(link, frame, peeked) === true;
  }

  private onLinkClosed(link: Link, reason: string): void {
    const listed = this.links.delete(link);
    if (link === this.control) {
      this.control = undefined;
      this.service?.end();
      if ((this.health.state !== 'up' && this.health.state !== 'ejected') || !this.address || this.closing) return;
      // Its server stores nothing any more, and never will: whoever is on it must go elsewhere now.
      if (this.service) {
        this.lastError = `its control link, which carries the sessions' state, is lost: ${reason}`;
        this.health.connectionLost(performance.now(), this.lastError);
      }
      // A server that went away takes its control link along: asking at once tells within a millisecond.
      if (this.service || this.health.state === 'up') void this.probe();
      return;
    }
    this.left.add(link.lost);
    if (!listed) return;
    channels.backendLink.publish({ backend: this.name, change: 'closed', reason, links: this.links.count });
  }

  private onHealth(from: HealthState, to: HealthState, reason: string): void {
    channels.backendState.publish({ backend: this.name, from, to, reason });
    if (to === 'up') {
      this.lastError = undefined;
      this.events.onUp(this);
      return;
    }
    if (to === 'starting') return;
    // A server that is gone takes its connections along; one that hangs still has them.
    const hung = this.control?.usable === true;
    if (this.service) this.links.close(reason);
    else this.closeAll(reason);
    this.events.onDown(this, reason, hung);
  }

  private closeAll(reason: string): void {
    this.control?.close(reason);
    this.links.close(reason);
  }
}
