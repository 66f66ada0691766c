/**
 * An attachment: one client on one session, on a link that no other attachment of that session
 * uses. What a CLI server keeps per connection (tools, hooks, capabilities, who answered first) is
 * therefore kept per attachment, by the server itself.
 *
 *   attaching ──ok──▶ attached ──client vanished in mid-turn──▶ held
 *    │  ▲ │              │  │                                    │ turn over, linger over,
 *    │  │ └─link broke─┐ │  └──────client left───────────┐       │ the user is back
 *    │  │              ▼ ▼ link broke                    ▼       ▼
 *    │  └──re-attach── lost ───client left──▶ gone ◀── detaching (session.detach on its link)
 *    └─────refused by the server─────────────▶ gone
 *
 *   attached ──its session is put to sleep──▶ dozing ──detached──▶ lost, until the next call
 */
import { frameOf, type Frame } from '../wire/frame.js';
import type { Peek } from '../wire/peek.js';
import type { Access } from '../protocol/access.js';
import { refuse, type Refusal } from '../protocol/errors.js';
import type { Session } from './session.js';
import { Hush } from './hush.js';
import { lostTurnEvents } from './lost-turn.js';
import { isStreamed } from './journal.js';
import { mayHoldUpAnAttach, missed, type Backlog } from './missed.js';
import type { Recipe } from './recipe.js';
import { DETACH_DEADLINE, strip } from './residue.js';
import type { ServerRequest, SessionClient, SessionLink } from './session-link.js';

export { clear, type Residue } from './residue.js';
export type { Answer, ServerRequest, SessionClient, SessionLink } from './session-link.js';

export type AttachmentState = 'attaching' | 'attached' | 'held' | 'dozing' | 'detaching' | 'lost' | 'gone';

export class Attachment {
  state: AttachmentState = 'attaching';
  link: SessionLink | undefined;
  recipe: Recipe | undefined;
  /** What its client may do on the session, and who that is: a held one waits for the same person. */
  access: Access = 'owner';
  holder: { readonly user: string; readonly key: string } | undefined;
  /** Milliseconds since the epoch after which a held attachment is let go. */
  heldUntil = 0;
  /** Set while an attach or re-attach of ours is under way. */
  reattaching: Promise<Refusal | undefined> | undefined;
  /** Its copy of the turn's end has come, maybe before the primary's. */
  sawIdle = false;
  readonly hush = new Hush();
  /** Requests of the server that wait for a client to come back. */
  private unanswered: ServerRequest[] = [];
  /** Prompts that came before the client that has taken this attachment over. */
  private asked: string[] = [];
  /** Events that wait: for a client to come back, and for the answer to its attach. */
  private backlog: Backlog | undefined;

  constructor(
    readonly session: Session,
    public client: SessionClient | undefined,
  ) {}

  /** Takes its place on a link. Events flow from now on, also before the attach is answered. */
  take(link: SessionLink): void {
    this.state = 'attaching';
    this.link = link;
    this.session.slept = false;
    link.attach(this.session.id, this);
    if (this.session.turn.open) link.watch(this.session);
    this.session.changed();
  }

  /**
   * Its session is about to be unloaded to make room (hibernation.ts). What the server says of that
   * is not for the client: nothing happened, as far as it is concerned.
   */
  doze(): void {
    if (this.state === 'attached') this.state = 'dozing';
  }

  /** The server refused to unload it. */
  wake(): void {
    if (this.state !== 'dozing') return;
    this.state = 'attached';
    if (!this.client) void this.release();
  }

  /** The server has unloaded it; the next call brings it back. */
  asleep(): void {
    if (this.state !== 'dozing') return;
    this.state = 'lost';
    this.session.slept = true;
    this.leaveLink();
    if (!this.client) this.gone();
  }

  attached(): void {
    if (this.state === 'attaching') this.state = 'attached';
    this.session.abandoned = false;
  }

  /** The server refused to attach it again; the next call may try once more. */
  failed(): void {
    this.leaveLink();
    if (!this.client && !this.session.recovering) this.gone();
    else if (this.state === 'attaching') this.state = 'lost';
  }

  /** Whether the CLI server counts this attachment. */
  get live(): boolean {
    return this.state === 'attached' || this.state === 'held' || this.state === 'attaching';
  }

  /** What the server asked can only be answered by a client. */
  get needsClient(): boolean {
    return this.unanswered.length > 0 || this.session.prompts.size > 0;
  }

  /** Somebody else is attached who can answer what the server asks; a reader cannot. */
  private get attended(): boolean {
    return this.session.attachments.some((a) => a !== this && a.live && (a.access !== 'reader' || this.access === 'reader'));
  }

  onEvent(frame: Frame, eventType: string | undefined): void {
    if (this.state === 'attached' && !this.backlog && this.hush.quiet && isStreamed(eventType)) {
      this.client?.deliverEvent(frame);
      const { stall, attachments } = this.session;
      // A live one that came first is the primary.
      if (stall && (attachments[0] === this || this.session.primary === this)) stall.hear();
      return;
    }
    if (this.state === 'detaching' || this.state === 'dozing') return;
    // Of the life that its server had of it when it was given up: the answer to the attach comes after all of that.
    if (this.state === 'attaching' && this.session.abandoned) return;
    const late = eventType === 'session.idle'
      && (this.session.idleIsLate || this.session.turnLock?.withholds(this.client, frame) === true);
    const withheld = late || (this.session.leaving && eventType === 'session.shutdown');
    if (!this.hush.hides(eventType, frame) && !withheld) this.pass(frame, eventType);
    const isPrimary = this.session.primary === this;
    if (isPrimary) this.session.observe(eventType, frame);
    if (!isPrimary || !withheld) this.follow(eventType);
  }

  private pass(frame: Frame, eventType?: string): void {
    // The server may wait for the answer before it answers the attach.
    if (this.client && this.backlog && mayHoldUpAnAttach(eventType)) this.deliverMissed();
    if (this.backlog) this.backlog.add(frame, eventType);
    else this.client?.deliverEvent(frame);
  }

  /** Keeps in mind what the turn looks like from here: it may become the primary, and a server may die between two copies of the turn's end. */
  private follow(eventType: string | undefined): void {
    if (eventType === 'session.idle') this.sawIdle = true;
    else if (eventType === 'user.message' || eventType === 'assistant.turn_start') this.sawIdle = false;
  }

  onRequest(frame: Frame, peek: Peek): void {
    const link = this.link;
    if (!link) return;
    const idToken = frame.buffer.toString('utf8', peek.idStart, peek.idEnd);
    const body = Buffer.from(frame.buffer.subarray(frame.body, frame.end));
    // The hook of a session's start, called anew because Skyport has moved it: nothing has started.
    if (this.hush.answers(peek.method, body.toString('utf8'))) {
      link.reply(idToken, { result: { output: null } });
      return;
    }
    const request: ServerRequest = { attachment: this, link, idToken, body };
    if (peek.method === 'userInput.request') this.session.question = { request };
    if (this.client && this.state !== 'detaching' && this.state !== 'dozing') this.client.ask(request);
    // A hook may be what keeps a tool from running: while a turn is held, its questions wait.
    else if (this.state === 'held') this.unanswered.push(request);
    else link.refuseRequest(idToken, refuse('SKYPORT_CLIENT_GONE'));
  }

  /**
   * The client is gone without a detach. Its running turn is held if nobody else keeps it alive,
   * everything else is released at once.
   * @param unanswered requests that the client will not answer any more
   */
  vanished(now: number, lingerMs: number, unanswered: readonly ServerRequest[]): void {
    this.client = undefined;
    this.unanswered.push(...unanswered.filter((request) => this.canAnswer(request)));
    // Without its server it is held as soon as it has another one (holdAgain).
    const attached = this.state === 'attached' || (this.session.recovering !== undefined && this.recipe !== undefined && this.state !== 'detaching');
    if (attached && this.session.turn.open && lingerMs > 0 && !this.attended) {
      if (this.state === 'attached') this.state = 'held';
      this.heldUntil = now + lingerMs;
      this.backlog ??= missed.open(this.session, this.holder?.key);
      this.session.changed();
      return;
    }
    void this.release();
  }

  /** What a server asked dies with it, but for the question to the user, which the next one takes over. */
  private canAnswer(request: ServerRequest): boolean {
    return request.link.open || this.session.question?.request === request;
  }

  /**
   * A client of the same user comes back to a held turn: it takes the attachment over, on the same
   * link, where its tools may be registered anew without a clash (PROTOCOL: Sessions).
   * @param user key of its principal: another one than the client's that vanished has missed nothing
   */
  adopt(client: SessionClient, user?: string): void {
    this.client = client;
    this.state = 'attaching';
    this.asked = this.session.prompts.ids();
    if (this.backlog?.user !== user) this.backlog?.drop();
    if (this.backlog?.user !== user) this.backlog = missed.open(this.session, user);
    this.session.changed();
  }

  /** Before it takes its place: its client is told first what the user missed of a turn that is over. @param user key of its principal */
  resumes(user: string): void {
    this.backlog = missed.take(this.session, user);
    this.heldUntil = this.backlog?.until ?? 0;
  }

  /** The server refused the adopting client: the turn goes on being held. */
  holdOn(): void {
    this.client = undefined;
    if (this.state === 'attaching') this.state = 'held';
    if (!this.session.turn.open) void this.release();
  }

  /** The server was lost before it had answered the adopting client, whose resume has come to nothing. */
  private adoptionFailed(): void {
    const { client } = this;
    if (!client || !this.backlog || !this.recipe) return;
    this.client = undefined;
    this.state = 'held';
    client.dropped(this);
  }

  /** It was held when its server was lost, and is attached anew. */
  holdAgain(): void {
    if (this.heldUntil > 0 && this.session.turn.open) this.state = 'held';
    else void this.release();
  }

  /** What comes from now on waits for `catchUp`: something before it may have been missed. */
  holdEvents(): void {
    if (this.client) this.backlog ??= missed.open(this.session, this.holder?.key);
  }

  /** Tells what was missed before the events that wait, and then those. @param events JSON texts of `session.event` messages */
  catchUp(events: readonly string[]): void {
    const { client } = this;
    for (const event of events) {
      if (client) client.deliverText(event);
      else this.tell(event);
    }
    if (client) this.deliverMissed();
  }

  /** A client that came back has attached: it hears what it has missed, and the questions that waited are its to answer now. */
  deliverUnanswered(): void {
    this.deliverMissed();
    const { client } = this;
    if (client) for (const request of this.unanswered.splice(0)) client.ask(request);
  }

  private deliverMissed(): void {
    const { client, backlog } = this;
    if (!client) return;
    for (const requestId of this.asked.splice(0)) {
      const message = backlog?.asks(requestId) ? undefined : this.session.prompts.message(requestId);
      if (message) client.deliverEvent(frameOf(message));
    }
    for (const frame of backlog?.take() ?? []) {
      client.deliverEvent(frame);
      // It was cut off, for it reads too slowly: the rest is for the next.
      if (this.client !== client) return;
    }
    backlog?.drop();
    this.backlog = undefined;
  }

  /** What was missed of a turn that is over is kept for as long as the turn would have been. */
  private leaveMissed(): void {
    const { backlog } = this;
    this.backlog = undefined;
    if (backlog && !this.session.turn.open) missed.keep(backlog, this.heldUntil);
    else backlog?.drop();
  }

  /**
   * Gives the attachment up, at once. Alone on its link in a session that others share, it closes
   * the link: nothing else makes a CLI server forget a client's hooks and commands. Otherwise it is
   * a `session.detach`; the place on the link stays taken until the server has answered.
   */
  async release(): Promise<void> {
    this.client = undefined;
    if (this.state === 'gone' || this.state === 'detaching') return;
    const link = this.link;
    if (!link?.open || this.state === 'lost') {
      this.gone();
      return;
    }
    // The answer to an attach or a detach that is still under way brings us back here.
    if (this.state === 'attaching' || this.state === 'dozing') return;
    this.leaveMissed();
    const shared = this.session.attachments.some((a) => a !== this && a.live);
    // A call that waits on the link may be waiting for these.
    for (const request of this.unanswered.splice(0)) {
      if (request.link.open) link.refuseRequest(request.idToken, refuse('SKYPORT_CLIENT_GONE'));
      else this.session.refuseQuestion(request);
    }
    // It would wait for answers that nobody gives: as without the readers, it ends with who it ran for.
    if (shared && this.session.turn.open && !this.attended) void link.call('session.abort', { sessionId: this.session.id }, DETACH_DEADLINE);
    if (shared && link.attached === 1) {
      link.retire();
      this.gone();
      return;
    }
    this.state = 'detaching';
    this.session.changed();
    if (shared) await strip(this.session, link, this.recipe);
    await link.call('session.detach', { sessionId: this.session.id }, DETACH_DEADLINE);
    this.ended();
  }

  /** The server has answered a detach or destroy. What it still keeps of a shared session stays on the link. */
  ended(): void {
    const { link, client, recipe, session } = this;
    this.gone();
    if (!link?.open || !session.attachments.some((a) => a.live)) return;
    link.leaveResidue(session);
    client?.leaves({ session, link, recipe });
  }

  /** The server has let go of it (detach, destroy, delete, close), or never took it. */
  gone(): void {
    if (this.state === 'gone') return;
    this.state = 'gone';
    this.leaveMissed();
    const client = this.client;
    this.leaveLink();
    this.client = undefined;
    this.recipe = undefined;
    this.session.remove(this);
    client?.dropped(this);
  }

  /** The link broke. Its turn is taken up elsewhere, or its client is told that it is over instead of hearing nothing. */
  onLinkLost(): void {
    this.adoptionFailed();
    const again = this.state !== 'detaching' && this.recipe !== undefined;
    const inTurn = this.session.turn.open && (this.state === 'attached' || this.state === 'held' || (this.state === 'attaching' && again));
    const last = !this.session.attachments.some((a) => a !== this && a.live);
    this.leaveLink();
    this.unanswered = this.unanswered.filter((request) => this.canAnswer(request));
    if (this.state === 'gone') return;
    if (again) this.state = 'lost';
    const goesOn = inTurn && again && this.session.interrupted();
    if (last && !goesOn && !this.session.recovering) this.session.turn.end('backend_lost');
    if (inTurn && !goesOn && (again || this.backlog)) this.tellTurnLost();
    if (!again || (!this.client && !goesOn)) {
      this.gone();
      return;
    }
    this.session.changed();
  }

  /** Tells the client that the turn it waits for has come to nothing. */
  tellTurnLost(): void {
    for (const text of lostTurnEvents(this.session.id)) this.tell(text);
  }

  /** Sends the client an event of Skyport's own; one that is away hears it when it comes back. */
  tell(event: string): void {
    if (this.backlog) this.backlog.add(frameOf(event));
    else this.client?.deliverText(event);
  }

  private leaveLink(): void {
    const link = this.link;
    this.link = undefined;
    link?.unwatch(this.session);
    link?.forget(this.session.id, this);
    if (link) this.session.changed();
  }
}
