/**
 * The seam between the path of a message and those who watch it: the path publishes what happened,
 * the observers (`observe/`) subscribe, and neither knows the other. Typed wrappers over
 * node:diagnostics_channel, as undici does it.
 *
 * Every payload is plain data, without tokens, keys or prompts. Nothing is published per message:
 * bytes and frames are counted where they move and read from the snapshot when somebody asks.
 */
import { channel as rawChannel, type Channel as RawChannel } from 'node:diagnostics_channel';
import type { ErrorName } from './protocol/errors.js';

export type Subscriber<T> = (message: T) => void;

/** One kind of news. Subscribers run at once, inside `publish`, in the order they subscribed. */
export class Channel<T extends object> {
  readonly name: string;
  readonly #raw: RawChannel;

  constructor(name: string) {
    this.name = `skyport:${name}`;
    this.#raw = rawChannel(this.name);
  }

  /** True when somebody listens: ask before building a payload that is not free to build. */
  get active(): boolean {
    return this.#raw.hasSubscribers;
  }

  /**
   * Tells the subscribers; one property read when there are none. A subscriber that throws does not
   * disturb the publisher: node raises its error as an uncaught exception on the next tick.
   */
  publish(message: T): void {
    if (this.#raw.hasSubscribers) this.#raw.publish(message);
  }

  subscribe(subscriber: Subscriber<T>): void {
    this.#raw.subscribe(subscriber as (message: unknown) => void);
  }

  unsubscribe(subscriber: Subscriber<T>): void {
    this.#raw.unsubscribe(subscriber as (message: unknown) => void);
  }
}

/** Names one client connection for the life of the process; never used twice. */
export type ClientId = number | string;

export interface ClientOpened {
  clientId: ClientId;
  /** Address and port of the peer. */
  remote: string;
  /** The listener as configured, say `tcp 127.0.0.1:4321`. */
  listener: string;
  transport: 'tcp' | 'websocket';
}

export interface ClientAuthenticated {
  clientId: ClientId;
  user: string;
  roles: readonly string[];
  /** What vouched for the user: `token`, `anonymous`, `listener`. */
  source: string;
  /** Name and version that the SDK gave, where it gave one. */
  sdk?: string;
}

export interface ClientClosed {
  clientId: ClientId;
  user?: string;
  reason: string;
  durationMs: number;
  /** Bytes from and to the client, framing included. */
  bytesIn: number;
  bytesOut: number;
  /** Requests the client made, and `session.event` notifications it was sent. */
  requests: number;
  events: number;
}

export interface LoginFailed {
  clientId: ClientId;
  remote: string;
  reason: string;
  /** How long the answer was held back. */
  delayMs: number;
  /** True when the connection was closed for it. */
  cut: boolean;
}

export interface SessionChange {
  sessionId: string;
  owner: string;
  backend: string;
  clientId?: ClientId;
  reason?: string;
  epoch: number;
}

export interface SessionMoved extends SessionChange {
  /** The backend that it was bound to before. */
  from: string;
}

export interface TurnRecovered extends SessionChange {
  /** What the turn had come to when its server died; `failed` when it could not be completed. */
  outcome: 'none' | 'complete' | 'model' | 'prompt' | 'tool' | 'failed';
  durationMs: number;
}

/** What is done about a turn in which nothing happens. */
export interface TurnStalled {
  sessionId: string;
  owner: string;
  backend: string;
  /**
   * `abort`: its server is told to end it; `end`: the server says that nothing runs any more; `move`: it is taken off its
   * server, to be ended by another one; `give_up`: its clients are told that it has failed.
   */
  step: StallStep;
  /** How long nothing had happened before the first step. */
  stillMs: number;
}

export type StallStep = 'abort' | 'end' | 'move' | 'give_up';

/** The store that other Skyports share. */
export interface StoreState {
  up: boolean;
  reason?: string;
}

export interface InstanceChange {
  instance: string;
  /** gone: its lease is over; lapsed: this one's own was, before it was renewed. */
  change: 'gone' | 'lapsed';
}

/** A session has another Skyport. */
export interface SessionTaken {
  sessionId: string;
  /** The instances. */
  from: string;
  to: string;
  /** As this one sees it. */
  direction: 'in' | 'out';
}

export interface TurnStarted {
  sessionId: string;
  owner: string;
  backend: string;
}

export type TurnOutcome = 'idle' | 'error' | 'aborted' | 'backend_lost' | 'client_gone';

export interface TurnEnded extends TurnStarted {
  durationMs: number;
  outcome: TurnOutcome;
}

/** A message waits for a limit of turns; `TurnWaited` follows. */
export interface TurnWaiting {
  user: string;
}

export interface TurnWaited extends TurnWaiting {
  /** `left`: cancelled, or its client is gone. */
  outcome: 'passed' | 'refused' | 'left';
  durationMs: number;
}

export interface TurnRefused {
  user: string;
  /** `active`, `per_minute`, or the same of all users with a role: `role_active`, `role_per_minute`. */
  limit: string;
  /** `full`: too many wait; `waited`: for too long; `stopping`: Skyport shuts down. */
  reason: 'full' | 'waited' | 'stopping';
}

/** `ok` and `error` are a backend's answers, an error name is Skyport's own. */
export type RequestOutcome = 'ok' | 'error' | ErrorName;

export interface RequestDone {
  /** As the client spelled it: not necessarily a method that exists. */
  method: string;
  outcome: RequestOutcome;
  durationMs: number;
  /** Where it was answered; absent when Skyport answered. */
  backend?: string;
}

export interface Refused {
  name: ErrorName;
  method?: string;
  user?: string;
  /** The guard's rule, where one decided. */
  rule?: string;
}

export interface BackendStateChange {
  backend: string;
  from: string;
  to: string;
  reason: string;
}

/** A step of `skyport restart`. */
export interface BackendRestart {
  backend: string;
  from: string;
  to: string;
  /** With `failed`. */
  reason?: string;
}

/** `config`: it was started with what the configuration does not say any more; `memory`: it could not be waited for. */
export const RECYCLE_REASONS = ['rss', 'open_files', 'children', 'age', 'latency', 'config', 'memory'] as const;
export type RecycleReason = (typeof RECYCLE_REASONS)[number];

/** A step in the replacement of a managed server. */
export interface BackendRecycle {
  backend: string;
  /** The process that is replaced. */
  run: number;
  reason: RecycleReason;
  /** started: a fresh process has the name; done: it is up, and the one before is gone; killed: the one before was not waited for. */
  step: 'begun' | 'started' | 'done' | 'failed' | 'killed';
  detail: string;
  /** Since it was begun. */
  durationMs?: number;
}

/** Servers keep what they were started with, since a server of the newest configuration does not start; or that is over. */
export interface RollOver {
  stopped: boolean;
  backend?: string;
  reason?: string;
}

export interface BackendLinkChange {
  backend: string;
  change: 'opened' | 'closed';
  reason: string;
  /** Open links after the change. */
  links: number;
}

/** A line that a managed server printed. */
export interface BackendLine {
  backend: string;
  stream: 'stdout' | 'stderr';
  line: string;
}

export interface BackendVersion {
  backend: string;
  version: string;
  protocolVersion: number;
  /** Whether this version has been probed and its Nagle stalls are undone by the nudge. */
  nudge: boolean;
}

export interface ConfigReloaded {
  file: string;
  /** Keys in force now. */
  reloaded: readonly string[];
  /** Keys that changed in the file but wait for a restart. */
  needsRestart: readonly string[];
}

export interface ConfigRejected {
  file: string;
  /** One printable text per problem. */
  problems: readonly string[];
}

export type LifecyclePhase = 'starting' | 'listening' | 'ready' | 'draining' | 'stopped';

export interface Lifecycle {
  phase: LifecyclePhase;
  detail?: string;
  /** With `listening`: which listener, and the address it is bound to. */
  listener?: 'tcp' | 'http';
  address?: string;
}

export interface RegistryError {
  operation: string;
  message: string;
}

/** A backend that is down answers again, and still cannot be used. */
/** A spare is made ready for its user's first turn. */
export interface BackendWarmUp {
  backend: string;
  step: 'begun' | 'warm' | 'failed';
  /** Of a warm-up that is over. */
  durationMs?: number;
  /** Why it is not warm. */
  reason?: string;
}

export interface BackendUnusable {
  backend: string;
  /** Says what to do about it. */
  reason: string;
}

/** A managed server did not start. */
export interface ServerStartFailed {
  backend: string;
  reason: string;
  /** Milliseconds until it is, or may be, tried again. */
  retryIn: number;
}

/** The directory in which a user's session is to work could not be made. */
export interface WorkspaceFailed {
  user: string;
  message: string;
}

/** Processes that an earlier Skyport on the same directory had left running were killed. */
export interface OrphansEnded {
  processes: number;
}

/** A server wanted something of a session's files that it could not have. */
export interface StateFault {
  sessionId: string;
  backend: string;
  /** `not_bound`: the session is not bound to this server. Otherwise as the store says it (`FileFaultCode`). */
  code: 'not_bound' | 'ESTALE' | 'EDQUOT' | 'EIO';
  detail?: string;
  /** False when this session's server has met the same fault before, under the same lease. */
  first: boolean;
}

export interface Bug {
  /** The place that noticed, say `clients/connection` or `uncaughtException`. */
  where: string;
  error: unknown;
}

export const channels = {
  clientOpened: new Channel<ClientOpened>('client.opened'),
  clientAuthenticated: new Channel<ClientAuthenticated>('client.authenticated'),
  clientClosed: new Channel<ClientClosed>('client.closed'),
  loginFailed: new Channel<LoginFailed>('login.failed'),
  sessionCreated: new Channel<SessionChange>('session.created'),
  sessionResumed: new Channel<SessionChange>('session.resumed'),
  /** Bound to another backend, with a higher epoch. */
  sessionMoved: new Channel<SessionMoved>('session.moved'),
  sessionAttached: new Channel<SessionChange>('session.attached'),
  sessionDetached: new Channel<SessionChange>('session.detached'),
  sessionDeleted: new Channel<SessionChange>('session.deleted'),
  turnStarted: new Channel<TurnStarted>('turn.started'),
  /** The turn of a dead server was taken up by another one, or given up. */
  turnRecovered: new Channel<TurnRecovered>('turn.recovered'),
  turnStalled: new Channel<TurnStalled>('turn.stalled'),
  turnEnded: new Channel<TurnEnded>('turn.ended'),
  turnWaiting: new Channel<TurnWaiting>('turn.waiting'),
  turnWaited: new Channel<TurnWaited>('turn.waited'),
  turnRefused: new Channel<TurnRefused>('turn.refused'),
  requestDone: new Channel<RequestDone>('request.done'),
  refusal: new Channel<Refused>('refusal'),
  backendState: new Channel<BackendStateChange>('backend.state'),
  backendRestart: new Channel<BackendRestart>('backend.restart'),
  backendRecycle: new Channel<BackendRecycle>('backend.recycle'),
  rollOver: new Channel<RollOver>('fleet.roll_over'),
  backendLink: new Channel<BackendLinkChange>('backend.link'),
  backendLine: new Channel<BackendLine>('backend.line'),
  backendUnusable: new Channel<BackendUnusable>('backend.unusable'),
  serverStartFailed: new Channel<ServerStartFailed>('server.start_failed'),
  workspaceFailed: new Channel<WorkspaceFailed>('workspace.failed'),
  orphansEnded: new Channel<OrphansEnded>('orphans.ended'),
  storeState: new Channel<StoreState>('store.state'),
  sessionTaken: new Channel<SessionTaken>('session.taken'),
  instance: new Channel<InstanceChange>('instance.change'),
  backendVersion: new Channel<BackendVersion>('backend.version'),
  backendWarmUp: new Channel<BackendWarmUp>('backend.warm_up'),
  configReloaded: new Channel<ConfigReloaded>('config.reloaded'),
  configRejected: new Channel<ConfigRejected>('config.rejected'),
  lifecycle: new Channel<Lifecycle>('lifecycle'),
  registryError: new Channel<RegistryError>('registry.error'),
  stateFault: new Channel<StateFault>('state.fault'),
  bug: new Channel<Bug>('bug'),
} as const;
