/**
 * The registry as several Skyports share it: whoever changes a record says from which epoch, and hears
 * of what the others change.
 */
import type { SessionRecord } from './registry.js';

export interface SharedRecord extends SessionRecord {
  /** The instance that serves the session; '' where there is only one. */
  readonly holder: string;
}

/** Somebody else has moved the session, or removed it. */
export class Superseded extends Error {
  /** @param record what is stored now; undefined when it was removed */
  constructor(readonly id: string, readonly record: SharedRecord | undefined) {
    super(record === undefined ? `session ${id} was removed` : `session ${id} was moved: its epoch is ${record.epoch} now`);
    this.name = 'Superseded';
  }
}

/** Every method may reject with a StoreUnavailable. */
export interface SharedRegistry {
  load(): Promise<SharedRecord[]>;
  find(id: string): Promise<SharedRecord | undefined>;
  /** @returns false when the id is taken; one of several that try at once gets it */
  create(record: SharedRecord): Promise<boolean>;
  /**
   * Resolves when the record outlives a crash of this process.
   * @throws Superseded when the stored record has a higher epoch, or is gone; nothing was stored then
   */
  put(record: SharedRecord): Promise<void>;
  /**
   * Takes a session over, or binds it elsewhere: stores the record if the stored one still has `fromEpoch`.
   * @returns false when it has not, or is gone; one of several that try at once gets it
   */
  claim(record: SharedRecord, fromEpoch: number): Promise<boolean>;
  /** @param epoch left out: whatever it is. @throws Superseded when the stored record has a higher one */
  remove(id: string, epoch?: number): Promise<void>;
  /**
   * Tells what other processes changed, in the order of each session's changes; undefined: removed. What was
   * missed is told as it is when it is noticed, so a change in between may not be told. One listener.
   */
  watch(listener: (id: string, record: SharedRecord | undefined) => void): void;
  /** Reads everything again and tells it as it is: for one that may not have heard for a while. */
  reread(): Promise<void>;
  /** Janitor, once a second or so: notices changes that were not heard of. */
  tick(): Promise<void>;
  close(): Promise<void>;
}
