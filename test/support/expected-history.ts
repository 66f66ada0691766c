/**
 * What the history of one session may hold after servers have died under it: a model that the stored file
 * is held against, line by line. It knows only what its client was told.
 */

/** What has become of a message, as its client knows it. */
export type Fate =
  /** Accepted, and its turn was told to be over: it is there once. */
  | 'accepted'
  /** Refused, given up with an error, or accepted and then cancelled by an abort: it is there once or not at all. */
  | 'open';

export interface Sent {
  readonly text: string;
  fate: Fate;
}

interface StoredEvent {
  readonly id: string;
  readonly type: string;
  readonly parentId: string | null;
  readonly agentId?: string;
  readonly data: { readonly [key: string]: unknown };
}

/**
 * @param history the text of `events.jsonl`
 * @param cameBack how often its client has left the session and resumed it
 * @returns everything that is wrong with it, a sentence each
 */
export function faultsOf(sessionId: string, history: string, sent: readonly Sent[], cameBack: number): string[] {
  const faults: string[] = [];
  const events: StoredEvent[] = [];
  const lines = history.split('\n');
  if (lines.pop() !== '') faults.push('the last line is torn');
  for (const [at, line] of lines.entries()) {
    try {
      events.push(JSON.parse(line) as StoredEvent);
    } catch {
      faults.push(`line ${at + 1} is no JSON: ${line.slice(0, 80)}`);
    }
  }
  if (events.length === 0) return sent.some(({ fate }) => fate === 'accepted') ? ['the history is lost'] : [];
  faults.push(...chainFaults(sessionId, events), ...moveFaults(events, cameBack), ...messageFaults(events, sent), ...toolFaults(events));
  return faults.map((fault) => `${sessionId}: ${fault}`);
}

function chainFaults(sessionId: string, events: readonly StoredEvent[]): string[] {
  const faults: string[] = [];
  const [first] = events;
  if (first!.type !== 'session.start' || first!.data['sessionId'] !== sessionId) faults.push(`it begins with ${first!.type}`);
  const known = new Set<string>();
  const all = new Set(events.map(({ id }) => id));
  const parents = new Set<string | null>();
  for (const [at, { id, type, parentId, data }] of events.entries()) {
    if (known.has(id)) faults.push(`event ${at} (${type}) is there twice`);
    // What a server does at one time it may store in another order than that of the chain (measured, runtime 1.0.85).
    if (at > 0 && !all.has(parentId ?? '')) faults.push(`event ${at} (${type}) follows one that is not there`);
    if (at > 0 && parents.has(parentId)) faults.push(`event ${at} (${type}) follows what another one follows`);
    parents.add(parentId);
    if (typeof data['sessionId'] === 'string' && data['sessionId'] !== sessionId) faults.push(`event ${at} (${type}) is another session's`);
    known.add(id);
  }
  return faults;
}

/** Events that a server stores whenever it loads or unloads a session. */
function moveFaults(events: readonly StoredEvent[], cameBack: number): string[] {
  const resumes = events.filter(({ type }) => type === 'session.resume').length;
  const shutdowns = events.filter(({ type }) => type === 'session.shutdown').length;
  const faults: string[] = [];
  if (resumes > cameBack) faults.push(`resumed ${resumes} times, by its client ${cameBack}`);
  if (shutdowns > cameBack + 1) faults.push(`shut down ${shutdowns} times, left by its client ${cameBack + 1}`);
  return faults;
}

function messageFaults(events: readonly StoredEvent[], sent: readonly Sent[]): string[] {
  const faults: string[] = [];
  const texts = events.filter(({ type, agentId }) => type === 'user.message' && agentId === undefined).map(({ data }) => String(data['content']));
  for (const text of texts) if (!sent.some((one) => one.text === text)) faults.push(`a message of somebody else: ${text.slice(0, 60)}`);
  for (const { text, fate } of sent) {
    const count = texts.filter((one) => one === text).length;
    if (count > 1) faults.push(`${count} times: ${text}`);
    if (count === 0 && fate === 'accepted') faults.push(`lost: ${text}`);
  }
  const order = texts.map((text) => sent.findIndex((one) => one.text === text)).filter((at) => at >= 0);
  if (order.some((at, index) => index > 0 && at < order[index - 1]!)) faults.push(`out of order: ${order.join(' ')}`);
  return faults;
}

function toolFaults(events: readonly StoredEvent[]): string[] {
  const faults: string[] = [];
  const results = new Map<unknown, number>();
  for (const { type, data } of events) {
    if (type === 'tool.execution_complete') results.set(data['toolCallId'], (results.get(data['toolCallId']) ?? 0) + 1);
  }
  for (const [call, count] of results) if (count > 1) faults.push(`${count} results of ${String(call)}`);
  return faults;
}
