import type { OnReadOpts } from 'node:net';
import { arena, reading } from './arena.js';

/**
 * The reading side of a socket that is opened here: its bytes come into memory that is there already,
 * where a `data` event would bring a new buffer of 64 KiB each time. All intakes of the process read into the same
 * place, one after the other: a read is over before the next one begins, whichever socket it is of. Node takes `onread` only
 * when a socket is made, so sockets that were accepted cannot have it.
 *
 * The socket must be paused until there is a `sink`.
 */
export class Intake {
  /** @param bytes those from `from` to `to` have come; valid during the call only */
  sink: ((bytes: Buffer, from: number, to: number) => void) | undefined;
  /** Where the next bytes are to be read to, if not just anywhere. */
  place: (() => Buffer | undefined) | undefined;
  /** Has so many bytes in the last `place`. */
  placed: ((count: number) => void) | undefined;

  /** For `connect` of node:net. */
  readonly onread: OnReadOpts = {
    buffer: () => this.place?.() ?? reading,
    callback: (count, buffer) => {
      try {
        if (buffer !== reading) this.placed!(count);
        else this.sink!(arena, 0, count);
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
