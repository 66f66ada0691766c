/**
 * A client: one SDK connection. It reads frames, knows who is calling, and keeps everything that
 * is bound to the connection, so that all of it is let go the moment the client leaves.
 *
 *   handshake ──login──▶ ready ──left, cut, drained──▶ closed
 */
import type { Backend } from '../backends/backend.js';
import { PLAIN, type Profile } from '../backends/profile.js';
import type { Link } from '../backends/link.js';
import { channels } from '../channels.js';
import { errorReply, refuse, type ErrorName, type Refusal } from '../protocol/errors.js';
import { isPeer, type Principal } from '../identity/principal.js';
import type { Access } from '../protocol/access.js';
import type { Attachment, Residue, ServerRequest, SessionClient } from '../sessions/attachment.js';
import type { Session } from '../sessions/session.js';
import { frameOf, isWireFault, type Frame, type WireFault } from '../wire/frame.js';
import { IdTable } from '../wire/id-table.js';
import { peek } from '../wire/peek.js';
import { withId } from '../wire/rewrite.js';
import { scan, type Scan } from '../wire/scan.js';
import type { CloseCause, Transport, TransportEvents } from '../wire/transport.js';
import { askIdOf, type Ask } from './ask.js';
import { Handshake } from './handshake.js';
import { Leftovers } from './leftovers.js';
import { passAnswer } from './questions.js';
import { dispatch } from './requests.js';
import { ServerRequests } from './server-requests.js';
import type { Services } from './services.js';
import type { Behalf } from './peers.js';
import { accessOf, review } from './sharing.js';

/** What waits on a link beyond this many bytes stops the reading of the clients that write to it. */
const LINK_HIGH_WATER = 1_048_576;

/** Milliseconds for a last message to leave before the connection is cut. */
const FAREWELL = 1_000;

/** Of its calls' table, while nothing is under way. */
const SLOTS_KEPT = 64;

/** A client that nobody knows yet needs no larger messages than its `connect`. */
export const HANDSHAKE_FRAME = 65_536;

/** Of another Skyport, whose connection carries what servers and many clients say: bytes of a frame, and so many clients' buffers. */
const PEER_FRAME = 536_870_912;
const PEER_SHARE = 8;

/** Of most clients, which are idle: what a client keeps is made when there is something to put in. */
const NONE: ReadonlyMap<string, never> = new Map<string, never>();

let lastId = 0;

export class Client implements SessionClient, TransportEvents {
  readonly id = ++lastId;
  principal: Principal | undefined;
  profile: Profile = PLAIN;
  /** What its `connect` was answered; undefined when it made none. */
  protocolVersion: number | undefined;
  closed = false;
  /** Told to leave: it stays until its turns and answers are through. */
  leaving = false;
  /** Nothing of it was under way at some moment since then. */
  rested = false;
  private attached: Map<string, Attachment> | undefined;
  /** By session: for whom another Skyport attaches. */
  behalf: Map<string, Behalf> | undefined;
  private asks: IdTable<Ask> | undefined;
  private homes: Map<Backend, Link> | undefined;
  private serverRequests: ServerRequests | undefined;
  private leftovers: Leftovers | undefined;
  private handshake: Handshake | undefined;
  private readonly openedAt = Date.now();
  private heldBytes = 0;
  private requests = 0;
  private events = 0;

  /** @param listenerUser the user that the listener stands for (`as`), if it does */
  constructor(
    readonly transport: Transport,
    readonly services: Services,
    readonly listener: string,
    private readonly listenerUser: string | undefined,
    principal?: Principal,
  ) {
    channels.clientOpened.publish({ clientId: this.id, remote: transport.remote, listener, transport: transport.kind });
    services.roster.add(this);
    if (principal) this.authenticated(principal, PLAIN);
    transport.listen(this);
  }

  get attachments(): ReadonlyMap<string, Attachment> {
    return this.attached ?? NONE;
  }

  get user(): string | undefined {
    return this.principal?.user;
  }

  /** Who it is on this session, for others to read. */
  userOn(id: string): string | undefined {
    return this.isPeer ? this.behalf?.get(id)?.user : this.user;
  }

  /** It is another Skyport, which speaks for clients of its own. */
  get isPeer(): boolean {
    return isPeer(this.principal);
  }

  /** Milliseconds since the connection was accepted. */
  age(now: number): number {
    return now - this.openedAt;
  }

  /** Nothing of this client is under way: neither an answer nor a turn. */
  get idle(): boolean {
    return !this.asks?.size && !this.inTurn;
  }

  get inTurn(): boolean {
    for (const attachment of this.attachments.values()) if (attachment.session.turn.open) return true;
    return false;
  }

  authenticated(principal: Principal, profile: Profile): void {
    this.profile = profile;
    if (this.principal) return;
    this.principal = principal;
    // Another Skyport has bounded its clients' messages; what its servers send comes this way, too.
    this.transport.maxFrame = this.isPeer ? PEER_FRAME : this.services.limits.max_frame;
    this.services.roster.authenticated(this, principal);
    const { user, roles, source } = principal;
    channels.clientAuthenticated.publish({ clientId: this.id, user, roles: [...roles], source });
  }

  /** After a reload: other roles are in force at once, a token that was taken back ends the connection. */
  reauthenticate(): void {
    if (!this.principal) return;
    const current = this.services.authenticator.current(this.principal);
    // What a service may see is found by its pattern; with another one, nothing that it holds is certain.
    if (!current || current.sessionPattern?.source !== this.principal.sessionPattern?.source) {
      this.leave('SKYPORT_AUTHENTICATION_FAILED');
      return;
    }
    this.principal = current;
    this.transport.maxFrame = this.isPeer ? PEER_FRAME : this.services.limits.max_frame;
  }

  /** What this client may do on the session. An unknown one and one that it may do nothing on are the same. */
  access(session: Session | undefined): Access | undefined {
    return session === undefined || session.deleted || !this.principal ? undefined : accessOf(this.principal, session, this.services);
  }

  /** Is the session its user's, or one of those it speaks for? */
  owns(session: Session | undefined): session is Session {
    return this.access(session) === 'owner';
  }

  /** May it use the session in any way? Asked of deleted ones, too: their last news come late. */
  concerns(session: Session): boolean {
    return this.principal !== undefined && accessOf(this.principal, session, this.services) !== undefined;
  }

  /** The access to a session may have changed: what it does not allow any more ends. */
  review(session: Session): void {
    if (this.principal) review(this, session, this.asks?.all() ?? []);
  }

  /** The ids of the sessions that it calls. */
  sessionsAsked(): Set<string> {
    return new Set((this.asks?.all() ?? []).flatMap(({ scan: { sessionId } }) => sessionId ?? []));
  }

  /** A session is taken off its server, or has another `holder`: what it has been asked for there is answered by nobody any more. */
  displaced(session: Session, holder = true): void {
    for (const ask of this.asks?.all() ?? []) if (ask.scan.sessionId === session.id) ask.displaced(holder);
  }

  /** The requests of a server that wait for this client's answer on an attachment; they are not its any more. */
  takeRequests(attachment: Attachment): ServerRequest[] {
    return this.serverRequests?.takeOf(attachment) ?? [];
  }

  /** The link of this client's unattached calls on a backend; lifecycle events come by it, in order with its answers. */
  home(backend: Backend): Link | undefined {
    const link = this.homes?.get(backend);
    if (link?.usable) return link;
    if (link) this.homes?.delete(backend);
    return undefined;
  }

  settle(backend: Backend, link: Link): void {
    if (!this.home(backend)) (this.homes ??= new Map()).set(backend, link);
  }

  isAttached(attachment: Attachment): void {
    (this.attached ??= new Map()).set(attachment.session.id, attachment);
  }

  detached(sessionId: string): void {
    this.attached?.delete(sessionId);
  }

  /** Takes a request in, unless the client has too many under way. */
  begin(ask: Ask): Refusal | undefined {
    this.requests++;
    this.asks ??= new IdTable(SLOTS_KEPT);
    if (this.asks.get(ask.id)) return refuse('SKYPORT_DUPLICATE_ID');
    if (this.asks.size >= this.services.limits.requests_per_client && !this.isPeer) return refuse('SKYPORT_TOO_MANY_REQUESTS');
    this.asks.add(ask.id, ask);
    return undefined;
  }

  answered(ask: Ask): void {
    if (this.asks?.get(ask.id) === ask) this.asks.take(ask.id);
    if (this.leaving && this.idle) this.rested = true;
  }

  /** Bytes of requests that wait their turn. Past the client's bound no further one is kept. */
  hold(bytes: number): void {
    this.heldBytes += bytes;
  }

  get crowded(): boolean {
    return this.heldBytes > this.services.limits.client_buffer && !this.isPeer;
  }

  /** Stops reading from the client while the link it writes to is full. */
  pausedBy(link: Link): void {
    if (link.transport.bufferedBytes <= LINK_HIGH_WATER) return;
    this.transport.pause();
    link.whenDrained(() => {
      if (!this.closed) this.transport.resume();
    });
  }

  deliver(frame: Frame): void {
    if (this.closed || this.cutIfSlow()) return;
    this.transport.sendFrame(frame);
  }

  deliverText(json: string): void {
    if (this.closed || this.cutIfSlow()) return;
    this.transport.sendText(json);
  }

  deliverEvent(frame: Frame): void {
    this.events++;
    this.deliver(frame);
  }

  ask(request: ServerRequest): void {
    if (this.closed) return;
    if (request.attachment.access === 'reader') {
      request.link.refuseRequest(request.idToken, refuse('SKYPORT_READ_ONLY'));
      return;
    }
    const id = (this.serverRequests ??= new ServerRequests()).add(request);
    const frame = frameOf(request.body);
    const { idStart, idEnd } = peek(frame.buffer, frame.body, frame.end);
    this.deliver(withId(frame, idStart, idEnd, String(id)));
  }

  dropped(attachment: Attachment): void {
    if (this.attachments.get(attachment.session.id) === attachment) this.detached(attachment.session.id);
    this.behalf?.delete(attachment.session.id);
    if (this.leaving && this.idle) this.rested = true;
  }

  leaves(residue: Residue): void {
    (this.leftovers ??= new Leftovers()).add(residue);
  }

  /** What it has left of the session on a link that can be taken; no longer counted as left. */
  reclaim(session: Session): Residue | undefined {
    return this.leftovers?.reclaim(session);
  }

  /** Disconnects with a reason that the client can read, after what it has been sent so far. */
  leave(name: ErrorName, message?: string): void {
    if (this.closed) return;
    this.transport.sendText(errorReply('null', refuse(name, message)));
    this.transport.end(name, undefined, FAREWELL);
  }

  /** One frame may exceed the bound, however large: what counts is what waited before it. */
  private cutIfSlow(): boolean {
    if (this.transport.bufferedBytes <= this.services.limits.client_buffer * (this.isPeer ? PEER_SHARE : 1)) return false;
    const name = 'SKYPORT_CLIENT_TOO_SLOW';
    channels.refusal.publish({ name, user: this.user });
    // In the place of what waits for it.
    this.transport.end(name, errorReply('null', refuse(name)), FAREWELL);
    this.onClose({ reason: name });
    return true;
  }

  onFrame(frame: Frame): void {
    if (this.closed) return;
    const scanned = scan(frame.buffer, frame.body, frame.end);
    if (isWireFault(scanned)) {
      this.onMalformed(scanned);
    } else if (!this.principal) {
      this.inHandshake(frame, scanned);
    } else {
      this.onMessage(frame, scanned);
    }
  }

  /** A message of a client that is known. Called by the handshake, too, for a message that logged in by itself. */
  onMessage(frame: Frame, scanned: Scan): void {
    switch (scanned.kind) {
      case 'request':
        if (scanned.method === 'connect') this.inHandshake(frame, scanned);
        else dispatch(this, frame, scanned);
        break;
      case 'response':
        this.onResponse(frame, scanned);
        break;
      default:
        // Of notifications a client has only this one; a CLI server ignores it (PROTOCOL: Ids).
        if (scanned.method === '$/cancelRequest') this.onCancel(frame, scanned);
    }
  }

  private inHandshake(frame: Frame, scanned: Scan): void {
    (this.handshake ??= new Handshake(this, this.listenerUser)).onMessage(frame, scanned);
  }

  /** The handshake is over and remembers nothing that counts: another `connect` begins anew. */
  introduced(): void {
    this.handshake = undefined;
  }

  private onResponse(frame: Frame, scanned: Scan): void {
    const id = Number(frame.buffer.toString('latin1', scanned.idStart, scanned.idEnd));
    const request = this.serverRequests?.take(id);
    if (request) passAnswer(request, frame, scanned);
  }

  /** A request that still waits in Skyport can be cancelled; one that was passed on cannot. */
  private onCancel(frame: Frame, scanned: Scan): void {
    if (scanned.paramsStart < 0) return;
    const params = JSON.parse(frame.buffer.toString('utf8', scanned.paramsStart, scanned.paramsEnd)) as { id?: unknown } | null;
    const ask = this.asks?.get(askIdOf(params?.id));
    if (ask && !ask.sent) ask.refuse(refuse('SKYPORT_REQUEST_CANCELLED'));
  }

  /** A message that is not understood costs an answer, as on a CLI server; the connection goes on. */
  private onMalformed(fault: WireFault): void {
    const name = fault.reason === 'invalid_request' ? 'SKYPORT_INVALID_REQUEST' : 'SKYPORT_PARSE_ERROR';
    channels.refusal.publish({ name, user: this.user });
    this.deliverText(errorReply(fault.idToken ?? 'null', refuse(name, fault.message)));
  }

  /** A frame whose end cannot be found: the connection is of no more use. */
  onFault(fault: WireFault): void {
    const name = this.refuseFrame(fault);
    this.leave(name, fault.message);
    this.onClose({ reason: name, fault });
  }

  private refuseFrame({ reason }: WireFault): ErrorName {
    const name = reason === 'frame_too_large' ? 'SKYPORT_FRAME_TOO_LARGE' : 'SKYPORT_FRAME_INVALID';
    channels.refusal.publish({ name, user: this.user });
    return name;
  }

  onClose(cause: CloseCause): void {
    if (this.closed) return;
    this.closed = true;
    // `ws` closes by itself on some, before anybody can be told.
    const reason = cause.reason === 'fault' && cause.fault ? this.refuseFrame(cause.fault) : cause.reason;
    this.services.roster.remove(this);
    for (const ask of this.asks?.all() ?? []) ask.abandon();
    this.letGo();
    channels.clientClosed.publish({
      clientId: this.id,
      user: this.user,
      reason,
      durationMs: Date.now() - this.openedAt,
      bytesIn: this.transport.bytesIn,
      bytesOut: this.transport.bytesOut,
      requests: this.requests,
      events: this.events,
    });
  }

  private letGo(): void {
    const now = Date.now();
    this.serverRequests?.refuseOthers(this.attachments);
    for (const attachment of [...this.attachments.values()]) attachment.vanished(now, this.services.linger, this.takeRequests(attachment));
    this.leftovers?.clear();
    this.serverRequests = this.leftovers = this.attached = this.homes = undefined;
  }
}
