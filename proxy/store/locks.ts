/**
 * Locks, one per key, for whoever may be in another process. A lock has one holder and a fence, a number
 * that goes up for ever with each acquisition; who waits for it stands in a queue, first come first served.
 *
 *   free ──acquire──▶ held ──release, or its process is gone──▶ free: the first of the queue may acquire
 *
 * A lock ends by time only when nobody renews it: `tick` does that for everything this process holds
 * and waits for. Every method may reject with a StoreUnavailable.
 */
export interface Held {
  readonly fence: number;
}

export interface Taken {
  /** Who has it; while it is free, who is first in the queue. */
  readonly holder: string;
}

export interface Locks {
  /**
   * Takes the lock if it is free and nobody waits in front; a waiter leaves the queue with it. Who has it already gets
   * the same fence again.
   * @param holder names one turn of one client: nobody else may use it
   * @param ttl milliseconds until the lock is free when this process stops renewing it
   */
  acquire(key: string, holder: string, ttl: number): Promise<Held | Taken>;
  /** @returns false when it is not this holder's any more */
  renew(key: string, holder: string, fence: number): Promise<boolean>;
  /** @returns false, and nothing is released, when it is not this holder's any more */
  release(key: string, holder: string, fence: number): Promise<boolean>;
  /** Goes to the end of the queue, or stays where it is. @returns its place; 1 is the first */
  enqueue(key: string, waiter: string, ttl: number): Promise<number>;
  /** Undefined when it does not wait. */
  position(key: string, waiter: string): Promise<number | undefined>;
  leave(key: string, waiter: string): Promise<void>;
  /** The key's session is gone: its fence is forgotten, unless somebody has the lock or waits for it. */
  forget(key: string): Promise<void>;
  /** Tells that a lock has become free or the places in its queue have changed, in whichever process. One listener. */
  watch(listener: (key: string) => void): void;
  /** Tells that a lock of this process is not its any more: it was not renewed in time. One listener. */
  onLost(listener: (key: string, holder: string, fence: number) => void): void;
  /** Janitor, once a second or so. */
  tick(): Promise<void>;
  close(): Promise<void>;
}
