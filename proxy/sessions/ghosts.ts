/**
 * Events that a server stores only because a session is moved or put to sleep: they never get into the
 * history that Skyport keeps. Whatever follows one of them takes its parent, so that the chain of
 * `parentId`s has no hole.
 */

import { Repeats } from './repeats.js';

/** Ids of ghosts that later events may still name as their parent. */
const REMEMBERED = 64;

interface Line {
  readonly type?: unknown;
  readonly id?: unknown;
  readonly parentId?: unknown;
  readonly data?: unknown;
}

export class Ghosts {
  private readonly expected = new Repeats();
  /** By id: the parent. */
  private readonly parents = new Map<string, string | null>();

  /** The next event of this type is one. @param about which of the type (repeats.ts); any when left out */
  expect(type: string, about?: string): void {
    this.expected.expect(type, about);
  }

  /** It will not come any more. */
  forget(type: string): void {
    this.expected.forget(type);
  }

  /** None of those that are expected will come any more. */
  rest(): void {
    this.expected.clear();
  }

  /** Whether an event has to be looked at: nearly none. */
  concern(type: string, id: string): boolean {
    return this.parents.has(id) || this.expected.awaits(type);
  }

  /** Looks at an event that a server has sent. @returns whether it is one of them */
  meet(event: Line): boolean {
    const { id } = event;
    if (typeof id !== 'string') return false;
    // It may have been stored before its message came.
    if (this.parents.has(id)) return true;
    if (!this.expected.meet(event)) return false;
    this.note(id, event.parentId);
    return true;
  }

  private note(id: string, parentId: unknown): void {
    this.parents.set(id, typeof parentId === 'string' ? (this.parents.get(parentId) ?? parentId) : null);
    if (this.parents.size > REMEMBERED) this.parents.delete(this.parents.keys().next().value!);
  }

  /** What of these lines goes into the history; the very text when none of them is concerned. */
  strip(content: string): string {
    if (!this.concerned(content)) return content;
    return content.split('\n').map((line) => this.stripLine(line)).filter((line) => line !== undefined).join('\n');
  }

  private concerned(content: string): boolean {
    for (const type of this.expected.types()) if (content.includes(type)) return true;
    for (const id of this.parents.keys()) if (content.includes(id)) return true;
    return false;
  }

  private stripLine(line: string): string | undefined {
    let event: Line;
    try {
      event = JSON.parse(line) as Line;
    } catch {
      return line;
    }
    if (this.meet(event)) {
      // What is stored may have another parent than what was sent: a repeated system message is only sent.
      this.note(event.id as string, event.parentId);
      return undefined;
    }
    const parent = typeof event.parentId === 'string' ? this.parents.get(event.parentId) : undefined;
    return parent === undefined ? line : line.replace(`"parentId":"${String(event.parentId)}"`, `"parentId":${JSON.stringify(parent)}`);
  }
}
