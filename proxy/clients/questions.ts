/**
 * Questions that an agent puts to the user by `ask_user`. The request dies with its server, and the next one
 * would tell the model that it was interrupted. So it is handed to that server as a tool of the client
 * (state/repair.ts): the client, which knows nothing of that, answers the question that it still has open,
 * and the answer is passed on as the tool's result (measured, runtime 1.0.85).
 */
import type { Link } from '../backends/link.js';
import type { ServerRequest } from '../sessions/attachment.js';
import type { Session } from '../sessions/session.js';
import type { Frame } from '../wire/frame.js';
import type { Scan } from '../wire/scan.js';

const RESULT = 'session.tools.handlePendingToolCall';

/** Milliseconds a server has to take the answer. */
const DEADLINE = 30_000;

/** Passes a client's answer to a server's request back; where that server is gone, an answer to its question goes to the next one. */
export function passAnswer(request: ServerRequest, frame: Frame, { idStart, idEnd }: Scan): void {
  const { session } = request.attachment;
  const asked = session.question?.request === request;
  if (!request.link.open) {
    if (asked) void answerLate(session, frame.buffer.toString('utf8', frame.body, frame.end));
    return;
  }
  if (asked) session.question = undefined;
  (request.link as Link).answer(frame, idStart, idEnd, request.idToken);
}

async function answerLate(session: Session, message: string): Promise<void> {
  const { question } = session;
  await session.recovering;
  const { requestId } = question ?? {};
  // Its turn is over, or was given up.
  if (requestId === undefined || session.question !== question) return;
  session.question = undefined;
  const params = { sessionId: session.id, requestId, ...resultOf(message) };
  const answer = session.journal?.answering(requestId, RESULT, params);
  // A server that is lost now has the answer given again with the turn.
  if (answer) answer.taken = true;
  await session.primary?.link?.call(RESULT, params, DEADLINE);
}

/** In the words of the runtime. */
function resultOf(message: string): { result: string } | { error: string } {
  const { result } = JSON.parse(message) as { result?: { answer?: unknown; wasFreeform?: unknown } };
  if (typeof result?.answer !== 'string') return { error: 'User is unable to respond' };
  return { result: `User ${result.wasFreeform === true ? 'responded' : 'selected'}: ${result.answer}` };
}
