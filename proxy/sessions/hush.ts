/**
 * Events that come only because a session was loaded again behind its client's back. A client that
 * did not ask for it does not hear of it: each of them is kept from it once, until its next turn is over.
 */
import type { Frame } from '../wire/frame.js';
import { Repeats, START_OF_A_LOAD, type Repeated } from './repeats.js';

/** Measured, runtime 1.0.85: after a resume, and at the first turn after one. All but the first are ephemeral. */
const OF_A_LOAD = [
  'session.resume', 'session.managed_settings_resolved', 'session.skills_loaded', 'session.mcp_servers_loaded',
  'session.tools_updated', 'session.custom_agents_updated', 'session.extensions_loaded', 'commands.changed', 'capabilities.changed',
];

/** What a client has had already of a turn that goes on elsewhere. */
export interface Heard {
  /** Types of events of which one comes again. */
  readonly types: readonly string[];
  /** Ids of tool calls that may be begun again. */
  readonly calls: readonly string[];
  /** Ids of requests that only Skyport and the server know of. */
  readonly requests?: readonly string[];
}

export class Hush {
  private readonly repeats = new Repeats();
  private loaded = false;

  /** The session is loaded anew. */
  begin(heard: Heard = { types: [], calls: [] }): void {
    for (const type of OF_A_LOAD) this.repeats.expect(type);
    for (const type of heard.types) this.repeats.expect(type);
    for (const call of heard.calls) this.repeats.expect('tool.execution_start', call);
    for (const request of heard.requests ?? []) this.repeats.expect('external_tool.completed', request);
    this.repeats.expect('hook.start', START_OF_A_LOAD);
    this.loaded = true;
  }

  /** Nothing is kept from the client now. */
  get quiet(): boolean {
    return this.repeats.none;
  }

  /** True when the client is not to see this event. @param frame its message; only looked at when it may be one of them */
  hides(type: string | undefined, frame: Frame): boolean {
    if (type === undefined) return false;
    const hidden = this.repeats.awaits(type) && this.repeats.meet(eventIn(frame));
    if (type === 'session.idle') {
      this.repeats.clear();
      this.loaded = false;
    }
    return hidden;
  }

  /**
   * True for the server's request that calls the hook of a session's start though the session has only been
   * moved: Skyport answers it.
   * @param message JSON text
   */
  answers(method: string, message: string): boolean {
    if (!this.loaded || method !== 'hooks.invoke') return false;
    const { hookType, input } = (parse(message)['params'] ?? {}) as { hookType?: unknown; input?: { source?: unknown } };
    return `${String(hookType)} ${String(input?.source)}` === START_OF_A_LOAD;
  }
}

function eventIn(frame: Frame): Repeated {
  return ((parse(frame.buffer.toString('utf8', frame.body, frame.end))['params'] as { event?: Repeated } | undefined)?.event ?? {}) as Repeated;
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
