/**
 * What clients have set on a session since it was created, for when a CLI server has to load it
 * again. Some of it a server forgets when it unloads a session (options, approvals); the rest it
 * stores, but not yet when it dies right after it has answered (measured, runtime 1.0.85, detach and
 * kill -9). In memory only, like the recipe.
 */
import type { SessionLink } from './attachment.js';

interface Kind {
  /** Calls of one slot replace each other. */
  readonly slot: string;
  /** merge: each call adds to what the ones before have set. */
  readonly merge?: true;
  /** Goes into the resume itself, because a call of its own would be an event in the history. */
  readonly inResume?: (params: Params) => Params;
}

type Params = Record<string, unknown>;

const REMEMBERED: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ['session.options.update', { slot: 'options', merge: true }],
  ['session.permissions.setApproveAll', { slot: 'approve all' }],
  ['session.permissions.setMode', { slot: 'permission mode' }],
  ['session.mode.set', { slot: 'mode' }],
  ['session.agent.select', { slot: 'agent' }],
  ['session.agent.deselect', { slot: 'agent' }],
  ['session.model.switchTo', {
    slot: 'model',
    inResume: ({ modelId, reasoningEffort }) => ({ model: modelId, reasoningEffort }),
  }],
  ['session.model.setReasoningEffort', { slot: 'effort', inResume: ({ reasoningEffort }) => ({ reasoningEffort }) }],
]);

/** Milliseconds a server has for each of them. */
const DEADLINE = 10_000;

/** True for a method whose params are to be noted when it succeeds. */
export function isAmendment(method: string): boolean {
  return REMEMBERED.has(method);
}

export class Amendments {
  /** By slot, in the order they were made. */
  private readonly made = new Map<string, { method: string; params: Params }>();

  note(method: string, params: Params): void {
    const kind = REMEMBERED.get(method);
    if (!kind) return;
    const before = kind.merge ? this.made.get(kind.slot)?.params : undefined;
    this.made.delete(kind.slot);
    this.made.set(kind.slot, { method, params: { ...before, ...params } });
  }

  /** Nobody is attached any more: who comes next finds what a server would show. */
  clear(): void {
    this.made.clear();
  }

  /** Parameters for the resume that loads the session again. */
  resumeParams(): Params {
    const params: Params = {};
    for (const { method, params: given } of this.made.values()) {
      for (const [key, value] of Object.entries(REMEMBERED.get(method)?.inResume?.(given) ?? {})) {
        if (value !== undefined) params[key] = value;
      }
    }
    return params;
  }

  /**
   * Sets everything else again on a session that was loaded anew. A server that refuses one of them
   * has accepted it before; the session goes on without.
   */
  async replay(sessionId: string, link: SessionLink): Promise<void> {
    for (const { method, params } of this.made.values()) {
      if (!REMEMBERED.get(method)?.inResume) await link.call(method, { ...params, sessionId }, DEADLINE);
    }
  }
}
