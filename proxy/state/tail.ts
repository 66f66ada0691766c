/**
 * What the last turn of a history has come to: that decides how it is completed when its server died
 * (PROTOCOL: State on disk and moving a session; every row was measured, runtime 1.0.85). Pure.
 */
import type { HistoryEvent } from './history.js';

/**
 * What the last turn has come to.
 *   none       there was none
 *   complete   it is over, or as good as: nobody waits for anything
 *   model      the model was asked, or about to be: it has to be asked (again)
 *   prompt     a permission or a tool of a client is waited for
 *   tool       a built-in tool was running: whether it did its work is not known
 */
export type TurnKind = 'none' | 'complete' | 'model' | 'prompt' | 'tool';

/** A tool's call that is not through. */
export interface OpenCall {
  readonly toolCallId: string;
  /** Set when a sub-agent has made it. */
  readonly agentId?: string;
}

/** A call of `ask_user`. */
export interface OpenQuestion {
  readonly toolCallId: string;
  readonly arguments: unknown;
}

/** A prompt of the history. */
export interface OpenPrompt {
  readonly requestId: string;
  readonly toolCallId: string | undefined;
}

export interface Tail {
  readonly kind: TurnKind;
  /** Calls whose outcome nobody knows: the model is told that they were interrupted. */
  readonly interrupted: readonly OpenCall[];
  /** Prompts whose answer counts, and has to be given once more: nothing came of it yet. */
  readonly again: readonly string[];
  /** Prompts that can still be answered. */
  readonly waiting: readonly string[];
  /** Permissions that a sub-agent has asked for: it is gone, and nobody waits for the answer. */
  readonly voided: readonly OpenPrompt[];
  /** Questions to the user, which a server has put by a request of its own. */
  readonly questions: readonly OpenQuestion[];
  /** Calls of which a server has told already; it tells of one again that it permits after a move. */
  readonly started: readonly string[];
  /** The end of the turn is all that is missing: the id of its last round. */
  readonly unended: string | undefined;
  /** The history ends with the begin of a round: it comes once more. */
  readonly begun: boolean;
}

/** What is known of a turn besides its history. */
export interface Known {
  /** How a client has answered a prompt: that the server has it in hand, or only that it was sent there. */
  answerTo(requestId: string): { readonly taken: boolean; readonly approves: boolean } | undefined;
  /** The server has said that its agent rests. */
  readonly rested: boolean;
}

const NOTHING_KNOWN: Known = { answerTo: () => undefined, rested: false };

const NOTHING: Tail = {
  kind: 'none', interrupted: [], again: [], waiting: [], voided: [], questions: [], started: [], unended: undefined, begun: false,
};

/** @param events of the whole history, in order */
export function tailOf(events: readonly HistoryEvent[], known: Known = NOTHING_KNOWN): Tail {
  const main = events.filter(({ agentId }) => agentId === undefined);
  const from = main.findLastIndex(isTurnStart);
  if (from < 0) return NOTHING;
  const turn = main.slice(from);
  const last = turn.findLast(({ type }) => ENDS.has(type) || STEPS.has(type))!;
  const agents = openCallsOfAgents(events);
  if (isOver(turn, last, known)) return { ...NOTHING, kind: 'complete', interrupted: agents };
  const calls = new Calls(turn, events);
  if (last.type === 'assistant.message' && !wantsTools(turn)) {
    const round = turn.findLast(({ type }) => type === 'assistant.turn_start')?.data['turnId'];
    return { ...NOTHING, kind: 'complete', interrupted: agents, unended: typeof round === 'string' ? round : '0' };
  }
  const sorted = calls.sort(known);
  const interrupted = [...agents, ...sorted.interrupted];
  const kind = sorted.waiting.length > 0 || sorted.again.length > 0 ? 'prompt' : interrupted.length > 0 ? 'tool' : 'model';
  return { ...sorted, kind, interrupted, unended: undefined, begun: last.type === 'assistant.turn_start' };
}

/** Every call that is not through, for a turn that nobody completes any more. */
export function openCalls(events: readonly HistoryEvent[]): OpenCall[] {
  const main = events.filter(({ agentId }) => agentId === undefined);
  const turn = main.slice(Math.max(0, main.findLastIndex(isTurnStart)));
  if (turn.some(({ type }) => type === 'abort')) return openCallsOfAgents(events);
  return [...openCallsOfAgents(events), ...callsIn(turn).map(({ toolCallId }) => ({ toolCallId }))];
}

/** The id of the round that a turn was in. */
export function roundOf(events: readonly HistoryEvent[]): string {
  const id = events.findLast(({ type, agentId }) => type === 'assistant.turn_start' && agentId === undefined)?.data['turnId'];
  return typeof id === 'string' ? id : '0';
}

/** A message that was slipped into a running turn begins none. */
function isTurnStart({ type, data }: HistoryEvent): boolean {
  return type === 'user.message' && data['delivery'] !== 'steering';
}

function isOver(turn: readonly HistoryEvent[], last: HistoryEvent, { rested }: Known): boolean {
  // The end of the round may follow what has ended the turn.
  const step = turn.findLast(({ type }) => type !== 'assistant.turn_end' && (ENDS.has(type) || STEPS.has(type)))!;
  if (rested || ENDS.has(step.type)) return true;
  return last.type === 'assistant.turn_end' && (!wantsTools(turn) || wasRejected(turn));
}

/** After these there is nothing to complete. */
const ENDS: ReadonlySet<string> = new Set(['abort', 'session.error', 'session.task_complete']);

/** The events that a turn consists of. */
const STEPS: ReadonlySet<string> = new Set([
  'user.message', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end', 'tool.execution_start',
  'tool.execution_complete', 'permission.requested', 'permission.completed', 'external_tool.requested',
]);

/** The model's last answer asks for tools. */
function wantsTools(turn: readonly HistoryEvent[]): boolean {
  const message = turn.findLast(({ type }) => type === 'assistant.message');
  const requests = message?.data['toolRequests'];
  return Array.isArray(requests) && requests.length > 0;
}

/** The user has rejected a call of the last round: the model is not asked again (measured, runtime 1.0.85). */
function wasRejected(turn: readonly HistoryEvent[]): boolean {
  const round = turn.slice(turn.findLastIndex(({ type }) => type === 'assistant.message'));
  return round.some(({ type, data }) => type === 'tool.execution_complete' && (data['error'] as { code?: unknown } | undefined)?.code === 'rejected');
}

interface StartedCall extends OpenQuestion {
  readonly tool: unknown;
}

/** Calls that were begun and are not through. */
function callsIn(events: readonly HistoryEvent[]): StartedCall[] {
  const open = new Map<string, StartedCall>();
  for (const { type, data } of events) {
    const toolCallId = String(data['toolCallId']);
    if (type === 'tool.execution_start') open.set(toolCallId, { toolCallId, tool: data['toolName'], arguments: data['arguments'] });
    else if (type === 'tool.execution_complete') open.delete(toolCallId);
  }
  return [...open.values()];
}

/** A server that finds one of these waits for it for ever, whether it is asked to go on or not (measured, runtime 1.0.85). */
function openCallsOfAgents(events: readonly HistoryEvent[]): OpenCall[] {
  const open = new Map<string, OpenCall>();
  for (const { type, data, agentId } of events) {
    if (agentId === undefined) continue;
    const toolCallId = String(data['toolCallId']);
    if (type === 'tool.execution_start') open.set(toolCallId, { toolCallId, agentId });
    else if (type === 'tool.execution_complete') open.delete(toolCallId);
  }
  return [...open.values()];
}

/** Asks its client by a request of the server's own, which died with it: left alone, the next server says that it was interrupted. */
const ASKS = 'ask_user';

interface Prompt {
  /** A tool of the client, or else a permission. */
  readonly external: boolean;
  readonly toolCallId: string | undefined;
  readonly done: boolean;
  readonly approved: boolean;
}

/** The prompts of one turn, and the calls that they are for. */
class Calls {
  private readonly open: StartedCall[];
  private readonly prompts = new Map<string, Prompt>();
  private readonly ofAgents: ReadonlySet<unknown>;
  /** Calls that run a sub-agent: a server ends both by itself. */
  private readonly agents: ReadonlySet<unknown>;

  constructor(turn: readonly HistoryEvent[], all: readonly HistoryEvent[]) {
    this.open = callsIn(turn);
    this.ofAgents = new Set(all.filter(({ type, agentId }) => type === 'tool.execution_start' && agentId !== undefined).map(({ data }) => data['toolCallId']));
    this.agents = new Set(turn.filter(({ type }) => type === 'subagent.started').map(({ data }) => data['toolCallId']));
    for (const { type, data } of turn) this.see(type, data);
  }

  sort(known: Known): Pick<Tail, 'interrupted' | 'again' | 'waiting' | 'voided' | 'questions' | 'started'> {
    const interrupted: OpenCall[] = [];
    const again: string[] = [];
    const waiting: string[] = [];
    const voided: OpenPrompt[] = [];
    const spoken = new Set<string>();
    for (const [requestId, prompt] of this.prompts) {
      const { toolCallId } = prompt;
      if (toolCallId !== undefined && this.ofAgents.has(toolCallId)) {
        if (!prompt.done) voided.push({ requestId, toolCallId });
        continue;
      }
      if (!this.isOpen(prompt)) continue;
      if (toolCallId !== undefined) spoken.add(toolCallId);
      const fate = fateOf(prompt, known.answerTo(requestId));
      if (fate === 'waiting') waiting.push(requestId);
      else if (fate === 'again') again.push(requestId);
      else if (toolCallId !== undefined) interrupted.push({ toolCallId });
    }
    const alone = this.open.filter(({ toolCallId }) => !spoken.has(toolCallId) && !this.agents.has(toolCallId));
    for (const { toolCallId, tool } of alone) if (tool !== ASKS) interrupted.push({ toolCallId });
    const questions = alone.filter(({ tool }) => tool === ASKS).map(({ toolCallId, arguments: given }) => ({ toolCallId, arguments: given }));
    return { interrupted: once(interrupted), again, waiting, voided, questions, started: this.open.map(({ toolCallId }) => toolCallId) };
  }

  /** A permission is of no matter any more once its call was handed to the client. */
  private isOpen({ external, toolCallId, done }: Prompt): boolean {
    if (toolCallId === undefined) return !done;
    if (!external && done && [...this.prompts.values()].some((other) => other.external && other.toolCallId === toolCallId)) return false;
    return this.open.some((call) => call.toolCallId === toolCallId);
  }

  private see(type: string, data: HistoryEvent['data']): void {
    const requestId = String(data['requestId']);
    switch (type) {
      case 'external_tool.requested':
        this.prompts.set(requestId, { external: true, toolCallId: textOf(data['toolCallId']), done: false, approved: false });
        break;
      case 'permission.requested': {
        const request = data['permissionRequest'] as { toolCallId?: unknown } | undefined;
        this.prompts.set(requestId, { external: false, toolCallId: textOf(request?.toolCallId), done: false, approved: false });
        break;
      }
      case 'external_tool.completed':
      case 'permission.completed': {
        const prompt = this.prompts.get(requestId);
        const { kind } = (data['result'] ?? {}) as { kind?: unknown };
        if (prompt) this.prompts.set(requestId, { ...prompt, done: true, approved: String(kind).startsWith('approved') });
        break;
      }
    }
  }
}

/**
 * What becomes of a prompt whose call is not through. A client's own tool is never called again for it; a
 * permission that was given, or is on its way, may have had its effect; a refusal has none.
 */
function fateOf(
  { external, done, approved }: Prompt,
  answer: { taken: boolean; approves: boolean } | undefined,
): 'waiting' | 'again' | 'interrupted' {
  if (external) return done ? (answer ? 'again' : 'interrupted') : answer?.taken ? 'again' : 'waiting';
  if (done) return approved || !answer || answer.approves ? 'interrupted' : 'again';
  if (!answer) return 'waiting';
  if (answer.approves) return 'interrupted';
  return answer.taken ? 'again' : 'waiting';
}

function once(calls: readonly OpenCall[]): OpenCall[] {
  return [...new Map(calls.map((call) => [call.toolCallId, call])).values()];
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
