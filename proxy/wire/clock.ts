import { performance } from 'node:perf_hooks';

/**
 * When the bytes that are being handled were read, milliseconds on the clock of `performance.now`. One look at the clock
 * serves all the messages of a read; who is called by a timer or a promise must look himself.
 */
export let readAt = performance.now();

/** Bytes were read. */
export function stampRead(): void {
  readAt = performance.now();
}
