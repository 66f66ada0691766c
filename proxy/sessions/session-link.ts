/** What sessions need of those they live between: the link to a CLI server, and the client. They know no sockets. */
import type { Refusal } from '../protocol/errors.js';
import type { Frame } from '../wire/frame.js';
import type { Attachment } from './attachment.js';
import type { Residue } from './residue.js';
import type { Session } from './session.js';

/** How a CLI server answered a call of ours. */
export type Answer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: { readonly code: number; readonly message: string } };

/** What an attachment needs of the link it lives on. */
export interface SessionLink {
  readonly open: boolean;
  attach(sessionId: string, attachment: Attachment): void;
  /** Gives the session's place on the link free, for another attachment of the same session. */
  forget(sessionId: string, attachment: Attachment): void;
  /** @param deadlineMs after which the call counts as lost */
  call(method: string, params: object, deadlineMs: number): Promise<Answer | Refusal>;
  /** Answers a request of the server in the client's place. @param reply with a `result` or an `error` */
  reply(idToken: string, reply: object): void;
  /** Tells the server that nobody will answer its request. */
  refuseRequest(idToken: string, refusal: Refusal): void;
  /** Number of attachments that live here. */
  readonly attached: number;
  /** Closes as soon as no call waits on it: the server sees a client leave. */
  retire(): void;
  /** The server keeps what was registered for the session here, so nobody else may attach to it here. */
  leaveResidue(session: Session): void;
  clearResidue(session: Session): void;
  /** While a session's turn is open its link is nudged. */
  watch(session: Session): void;
  unwatch(session: Session): void;
}

/** A request that a server sent to the client of an attachment. */
export interface ServerRequest {
  readonly attachment: Attachment;
  readonly link: SessionLink;
  /** The server's id, as JSON text. */
  readonly idToken: string;
  /** The whole message; a copy. */
  readonly body: Buffer;
}

/** What an attachment needs of the client it belongs to. */
export interface SessionClient {
  readonly id: number;
  /** Forwards the bytes of an event. */
  deliverEvent(frame: Frame): void;
  deliverText(json: string): void;
  /** Passes a server's request on; the client remembers whom to answer. */
  ask(request: ServerRequest): void;
  /** The attachment ended on the server's side. */
  dropped(attachment: Attachment): void;
  /** The server keeps something of the client's until the connection closes. */
  leaves(residue: Residue): void;
}
