import { refuse } from '../protocol/errors.js';
import type { Attachment, ServerRequest } from '../sessions/attachment.js';

/** The requests of servers that wait for one client's answer, by the ids that the client knows them by. */
export class ServerRequests {
  private lastId = 0;
  private readonly open = new Map<number, ServerRequest>();

  /** @returns the id to ask the client with */
  add(request: ServerRequest): number {
    this.open.set(++this.lastId, request);
    return this.lastId;
  }

  /** The client has answered. */
  take(id: number): ServerRequest | undefined {
    const request = this.open.get(id);
    this.open.delete(id);
    return request;
  }

  /** Those on an attachment; they are not the client's any more. */
  takeOf(attachment: Attachment): ServerRequest[] {
    const taken: ServerRequest[] = [];
    for (const [id, request] of this.open) if (request.attachment === attachment && this.open.delete(id)) taken.push(request);
    return taken;
  }

  /** Answers those that are on no attachment of the client's: it is gone. */
  refuseOthers(attachments: ReadonlyMap<string, Attachment>): void {
    for (const { attachment, link, idToken } of this.open.values()) {
      if (attachments.get(attachment.session.id) !== attachment) link.refuseRequest(idToken, refuse('SKYPORT_CLIENT_GONE'));
    }
  }
}
