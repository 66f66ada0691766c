/**
 * How long a turn has been still: nothing has come from its server, though nobody else is waited for. Kept
 * while the turn is open. An event only leaves a mark; the clock is read by who looks, once in a while.
 *
 *   event ──▶ heard            look: heard, or something runs ──▶ time begins anew
 *                                    neither                  ──▶ that long since
 */
import type { Frame } from '../wire/frame.js';

/**
 * Events that say that something runs which may take its time, and that it is through; with the field of `data`
 * that tells which (session-events schema). What clients are asked otherwise is known to prompts.ts. A sub-agent's call
 * is no tool that runs: what it does is told by events of its own.
 */
const WORK = new Map<string, readonly ['begins' | 'ends', string]>([
  ['tool.execution_start', ['begins', 'toolCallId']], ['tool.execution_complete', ['ends', 'toolCallId']], ['subagent.started', ['ends', 'toolCallId']],
  ['hook.start', ['begins', 'hookInvocationId']], ['hook.end', ['ends', 'hookInvocationId']],
  ['user_input.requested', ['begins', 'requestId']], ['user_input.completed', ['ends', 'requestId']],
  ['exit_plan_mode.requested', ['begins', 'requestId']], ['exit_plan_mode.completed', ['ends', 'requestId']],
  ['auto_mode_switch.requested', ['begins', 'requestId']], ['auto_mode_switch.completed', ['ends', 'requestId']],
]);

/** Where a server writes the field: results that follow it may be long. */
const FIRST = /"data":\{"(\w+)":"([^"\\]+)"/;
const HEAD = 512;

export class Stall {
  /** A client has asked for the end of the turn. */
  aborted = false;
  private heard = true;
  private since = 0;
  private readonly running = new Set<string>();

  /** An event has come that says nothing of what runs. */
  hear(): void {
    this.heard = true;
  }

  /** An event has come. Called for each one: only the few that say what runs are looked into. */
  see(type: string, frame: Frame): void {
    this.heard = true;
    const work = WORK.get(type);
    if (work === undefined) return;
    const [step, field] = work;
    const id = idIn(frame, field);
    if (id === undefined) return;
    if (step === 'begins') this.running.add(id);
    else this.running.delete(id);
  }

  /** A client ends the turn: its server is given its time for that. */
  abort(): void {
    this.aborted = true;
    this.heard = true;
  }

  /** What was done about it is over, and the turn is not: time begins anew. */
  again(): void {
    this.aborted = false;
    this.heard = true;
  }

  /**
   * @param now milliseconds on any clock that never goes back
   * @param waits somebody is waited for, of whom no event tells
   * @returns milliseconds for which the turn has been still, as far as was looked
   */
  look(now: number, waits: boolean): number {
    if (this.heard || waits || this.running.size > 0) this.since = now;
    this.heard = false;
    return now - this.since;
  }
}

function idIn({ buffer, body, end }: Frame, field: string): string | undefined {
  const [, name, id] = FIRST.exec(buffer.toString('latin1', body, Math.min(end, body + HEAD))) ?? [];
  if (name === field) return id;
  try {
    const { params } = JSON.parse(buffer.toString('utf8', body, end)) as { params?: { event?: { data?: Record<string, unknown> } } };
    const found = params?.event?.data?.[field];
    return typeof found === 'string' ? found : undefined;
  } catch {
    return undefined;
  }
}
