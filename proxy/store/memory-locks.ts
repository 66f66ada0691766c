/** The locks of a Skyport that is alone: all holders and waiters are in this process, so none ends by time. */
import type { Held, Locks, Taken } from './locks.js';

interface Lock {
  fence: number;
  holder: string | undefined;
  readonly queue: string[];
}

export class MemoryLocks implements Locks {
  private readonly locks = new Map<string, Lock>();
  private listener: (key: string) => void = () => undefined;

  acquire(key: string, holder: string, _ttl: number): Promise<Held | Taken> {
    const lock = this.lockOf(key);
    if (lock.holder === holder) return Promise.resolve({ fence: lock.fence });
    const first = lock.holder ?? lock.queue[0] ?? holder;
    if (first !== holder) return Promise.resolve({ holder: first });
    lock.holder = holder;
    lock.fence++;
    if (lock.queue.shift() !== undefined) this.changed(key);
    return Promise.resolve({ fence: lock.fence });
  }

  renew(key: string, holder: string, fence: number): Promise<boolean> {
    const lock = this.locks.get(key);
    return Promise.resolve(lock?.holder === holder && lock.fence === fence);
  }

  release(key: string, holder: string, fence: number): Promise<boolean> {
    const lock = this.locks.get(key);
    if (lock?.holder !== holder || lock.fence !== fence) return Promise.resolve(false);
    lock.holder = undefined;
    this.changed(key);
    return Promise.resolve(true);
  }

  enqueue(key: string, waiter: string, _ttl: number): Promise<number> {
    const { queue } = this.lockOf(key);
    if (!queue.includes(waiter)) queue.push(waiter);
    return Promise.resolve(queue.indexOf(waiter) + 1);
  }

  position(key: string, waiter: string): Promise<number | undefined> {
    const place = (this.locks.get(key)?.queue.indexOf(waiter) ?? -1) + 1;
    return Promise.resolve(place === 0 ? undefined : place);
  }

  leave(key: string, waiter: string): Promise<void> {
    const queue = this.locks.get(key)?.queue;
    const at = queue?.indexOf(waiter) ?? -1;
    if (at !== -1) {
      queue!.splice(at, 1);
      this.changed(key);
    }
    return Promise.resolve();
  }

  forget(key: string): Promise<void> {
    const lock = this.locks.get(key);
    if (lock?.holder === undefined && lock?.queue.length === 0) this.locks.delete(key);
    return Promise.resolve();
  }

  watch(listener: (key: string) => void): void {
    this.listener = listener;
  }

  onLost(): void {
    // None is lost: holders end with this process.
  }

  tick(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.listener = () => undefined;
    return Promise.resolve();
  }

  /** After the call that caused it has returned, as it is over Redis. */
  private changed(key: string): void {
    queueMicrotask(() => this.listener(key));
  }

  private lockOf(key: string): Lock {
    let lock = this.locks.get(key);
    if (lock === undefined) this.locks.set(key, (lock = { fence: 0, holder: undefined, queue: [] }));
    return lock;
  }
}
