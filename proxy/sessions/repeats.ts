/**
 * Events that come only because a session was loaded again, or come a second time because of it. Each
 * is known by its type and, where several of the type may come, by what it is about.
 */

export interface Repeated {
  readonly type?: unknown;
  readonly data?: unknown;
}

/** What an expected event is about, when any of its type will do. */
const ANY = '';

/** The hook that a server calls in the first turn after it has loaded a session (measured, runtime 1.0.85). */
export const START_OF_A_LOAD = 'sessionStart resume';

export class Repeats {
  private readonly expected = new Map<string, Set<string>>();

  /** One event of this type. @param about see `aboutOf` */
  expect(type: string, about: string = ANY): void {
    let set = this.expected.get(type);
    if (!set) this.expected.set(type, (set = new Set()));
    set.add(about);
  }

  forget(type: string): void {
    this.expected.delete(type);
  }

  clear(): void {
    this.expected.clear();
  }

  /** Whether one of the type is expected at all: the rest need not be looked at. */
  awaits(type: string): boolean {
    return this.expected.has(type);
  }

  /** Nothing is expected. */
  get none(): boolean {
    return this.expected.size === 0;
  }

  types(): Iterable<string> {
    return this.expected.keys();
  }

  /** True when the event is one of them; it is not expected any more then. */
  meet(event: Repeated): boolean {
    const { type } = event;
    if (typeof type !== 'string') return false;
    const set = this.expected.get(type);
    if (!set || !(set.delete(aboutOf(event)) || set.delete(ANY))) return false;
    if (set.size === 0) this.expected.delete(type);
    // Its end comes with it.
    const invocation = (event.data as { hookInvocationId?: unknown } | undefined)?.hookInvocationId;
    if (type === 'hook.start' && typeof invocation === 'string') this.expect('hook.end', invocation);
    return true;
  }
}

/** A tool's call by its id, a hook by its kind and why it is called, its end by its own id. */
function aboutOf({ type, data }: Repeated): string {
  const { toolCallId, requestId, hookType, hookInvocationId, input } = (data ?? {}) as Record<string, unknown>;
  switch (type) {
    case 'tool.execution_start':
      return String(toolCallId);
    case 'external_tool.completed':
      return String(requestId);
    case 'hook.start':
      return `${String(hookType)} ${String((input as { source?: unknown } | undefined)?.source)}`;
    case 'hook.end':
      return String(hookInvocationId);
    default:
      return ANY;
  }
}
