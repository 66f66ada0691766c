/** What a directory needs of a registry that other Skyports use, too. */
import type { SessionRecord } from '../store/registry.js';

export interface Others {
  /** This Skyport's instance. */
  readonly self: string;
  /** @returns false when the id is taken */
  create(record: SessionRecord): Promise<boolean>;
  /** @returns false when the record has another epoch by now */
  claim(record: SessionRecord, fromEpoch: number): Promise<boolean>;
  find(id: string): Promise<SessionRecord | undefined>;
  /** Another instance's lease is over. */
  gone(instance: string): Promise<boolean>;
}

/** Another Skyport has given the id away a moment ago. */
export class IdTaken extends Error {
  constructor(readonly id: string) {
    super(`session ${id} is there already`);
  }
}
