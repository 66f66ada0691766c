import type { OnReadOpts } from 'node:net';

/** Bytes of one read. */
const READ = 64 * 1024;

/**
 * What all intakes of the process read into, one after the other: a read is over before the next
 * one begins, whichever socket it is of.
 */
const shared = Buffer.allocUnsafeSlow(READ);

/**
 * The reading side of a socket that is opened here: its bytes come into a buffer that is there
 * already, where a `data` event would bring a new one of 64 KiB each time. Node takes `onread` only when a
 * socket is made, so sockets that were accepted cannot have it.
 *
 * The socket must be paused until there is a `sink`.
 */
export class Intake {
  /** @param bytes valid during the call only */
  sink: ((bytes: Buffer) => void) | undefined;
  /** Where the next bytes are to be read to, if not just anywhere. */
  place: (() => Buffer | undefined) | undefined;
  /** Has so many bytes in the last `place`. */
  placed: ((count: number) => void) | undefined;

  /** For `connect` of node:net. */
  readonly onread: OnReadOpts = {
    buffer: () => this.place?.() ?? shared,
    callback: (count, buffer) => {
      try {
        if (buffer !== shared) this.placed!(count);
        else this.sink!(count === READ ? shared : shared.subarray(0, count));
      } catch (error) {
        // Node would not ask where the next bytes go, and read them over these.
        queueMicrotask(() => {
          throw error;
        });
      }
      return true;
    },
  };
}
