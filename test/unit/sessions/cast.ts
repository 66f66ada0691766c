/** Who plays with the sessions in these tests: a link, a client and a registry that only remember. */
import type { Refusal } from '../../../proxy/protocol/errors.js';
import { refuse } from '../../../proxy/protocol/errors.js';
import { Attachment, type Answer, type Residue, type ServerRequest, type SessionClient, type SessionLink } from '../../../proxy/sessions/attachment.js';
import type { Recipe } from '../../../proxy/sessions/recipe.js';
import { Session, type SessionEvents } from '../../../proxy/sessions/session.js';
import type { Registry, SessionRecord } from '../../../proxy/store/registry.js';
import { frameOf } from '../../../proxy/wire/frame.js';
import { peek } from '../../../proxy/wire/peek.js';

export interface MadeCall {
  readonly method: string;
  readonly params: { readonly [key: string]: unknown };
  /** Answers it; a call that is answered by itself has been answered already. */
  answer(answer: Answer | Refusal): void;
}

export const OK: Answer = { ok: true, result: {} };

export function failure(message: string): Answer {
  return { ok: false, error: { code: -32603, message } };
}

/** A link that answers every call with success, unless it holds them back or has another answer ready. */
export class FakeLink implements SessionLink {
  open = true;
  retired = false;
  holdsAnswers = false;
  readonly calls: MadeCall[] = [];
  readonly refused: { readonly idToken: string; readonly name: string }[] = [];
  readonly replies: { readonly idToken: string; readonly reply: object }[] = [];
  readonly watched = new Set<Session>();
  readonly residues = new Set<Session>();
  readonly answers: (Answer | Refusal)[] = [];
  readonly places = new Map<string, Attachment>();
  /** Attachments of other sessions that live here as well. */
  neighbours = 0;

  get attached(): number {
    return this.places.size + this.neighbours;
  }

  get methods(): string[] {
    return this.calls.map(({ method }) => method);
  }

  attach(sessionId: string, attachment: Attachment): void {
    this.places.set(sessionId, attachment);
  }

  forget(sessionId: string, attachment: Attachment): void {
    if (this.places.get(sessionId) === attachment) this.places.delete(sessionId);
  }

  reply(idToken: string, reply: object): void {
    this.replies.push({ idToken, reply });
  }

  call(method: string, params: object): Promise<Answer | Refusal> {
    return new Promise((resolve) => {
      this.calls.push({ method, params: params as MadeCall['params'], answer: resolve });
      if (!this.open) resolve(refuse('SKYPORT_BACKEND_LOST'));
      else if (!this.holdsAnswers) resolve(this.answers.shift() ?? OK);
    });
  }

  refuseRequest(idToken: string, { name }: Refusal): void {
    this.refused.push({ idToken, name });
  }

  retire(): void {
    this.retired = true;
  }

  leaveResidue(session: Session): void {
    this.residues.add(session);
    session.residues.add(this);
  }

  clearResidue(session: Session): void {
    this.residues.delete(session);
  }

  watch(session: Session): void {
    this.watched.add(session);
  }

  unwatch(session: Session): void {
    this.watched.delete(session);
  }

  /** Breaks, as the connection to a server that died does. */
  lose(): void {
    this.open = false;
    for (const attachment of [...this.places.values()]) attachment.onLinkLost();
  }
}

export class FakeClient implements SessionClient {
  readonly events: string[] = [];
  readonly texts: string[] = [];
  readonly asked: ServerRequest[] = [];
  readonly droppedSessions: string[] = [];
  readonly left: Residue[] = [];

  constructor(readonly id = 1) {}

  deliverEvent(frame: { buffer: Buffer; body: number; end: number }): void {
    this.events.push(typeOf(frame.buffer.toString('utf8', frame.body, frame.end)));
  }

  deliverText(json: string): void {
    this.texts.push(json);
  }

  ask(request: ServerRequest): void {
    this.asked.push(request);
  }

  dropped(attachment: Attachment): void {
    this.droppedSessions.push(attachment.session.id);
  }

  leaves(residue: Residue): void {
    this.left.push(residue);
  }
}

export function typeOf(text: string): string {
  return (JSON.parse(text) as { params: { event: { type: string } } }).params.event.type;
}

/** A session that tells nobody; `told` is what it would have told. */
export function sessionOf(id = 's1', more: Partial<SessionRecord> = {}): { session: Session; told: string[] } {
  const told: string[] = [];
  const events: SessionEvents = {
    turnStarted: () => told.push('turn started'),
    turnEnded: (_session, outcome) => told.push(`turn ended: ${outcome}`),
    changed: () => undefined,
    unloaded: () => told.push('unloaded'),
  };
  const record = { id, owner: 'alice', backend: 'b1', epoch: 1, createdAt: 1, usedAt: 1, turns: 0, ...more };
  return { session: new Session(record, events), told };
}

export function recipeOf(params: object = {}, method: Recipe['method'] = 'session.create'): Recipe {
  return { method, params: Buffer.from(JSON.stringify(params)) };
}

/** A client attached to a session on a link, as it is after its create or resume was answered. */
export function attach(session: Session, link: SessionLink, client: SessionClient, params: object = {}): Attachment {
  const attachment = new Attachment(session, client);
  attachment.take(link);
  session.add(attachment);
  attachment.attached();
  attachment.recipe = recipeOf(params);
  return attachment;
}

/** The server sends an event on the link of an attachment. */
export function event(attachment: Attachment, type: string, data: object = {}, id = 'e'): void {
  message(attachment, 'onEvent', {
    method: 'session.event', params: { sessionId: attachment.session.id, event: { type, data, id, timestamp: 't', parentId: null } },
  });
}

/** The server asks the client of an attachment something. */
export function request(attachment: Attachment, id: number | string, method = 'hooks.invoke'): void {
  message(attachment, 'onRequest', { id, method, params: { sessionId: attachment.session.id } });
}

function message(attachment: Attachment, way: 'onEvent' | 'onRequest', body: object): void {
  const frame = frameOf(JSON.stringify({ jsonrpc: '2.0', ...body }));
  const peeked = peek(frame.buffer, frame.body, frame.end);
  if (way === 'onEvent') attachment.onEvent(frame, peeked.eventType);
  else attachment.onRequest(frame, peeked);
}

/** A turn that runs: sent, answered, seen at work. */
export function startTurn(session: Session): void {
  session.turn.answered(true, session.turn.sent());
}

/** Lets every promise that can settle do so. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A registry in memory, whose writes can be made to fail. */
export class FakeRegistry implements Registry {
  readonly records = new Map<string, SessionRecord>();
  readonly writes: string[] = [];
  failing = false;

  constructor(records: readonly SessionRecord[] = []) {
    for (const record of records) this.records.set(record.id, record);
  }

  load(): SessionRecord[] {
    return [...this.records.values()];
  }

  async put(record: SessionRecord): Promise<void> {
    await Promise.resolve();
    if (this.failing) throw new Error('disk full');
    this.writes.push(record.id);
    this.records.set(record.id, record);
  }

  async remove(id: string): Promise<void> {
    await Promise.resolve();
    if (this.failing) throw new Error('disk full');
    this.records.delete(id);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
