/**
 * The `session.idle` of a turn that others have begun, kept from a client that waits for a turn of its
 * own. An SDK's `sendAndWait` listens before it sends and takes the first idle for the end of its own
 * turn (SDK 1.0.14, session.js); on a CLI server that is true, for there the message is queued and
 * one idle follows all. Each attachment gets its copy on a link of its own, so a copy may come after
 * the client's turn has begun: it is known by its id, which all copies share.
 */
import type { Frame } from '../wire/frame.js';

/** Ids that are remembered; a link that is later by more idles than this is not served. */
const MOST = 16;

export class WithheldIdles {
  /** Of the idles that came while somebody waited. */
  private seen: unknown[] = [];

  /**
   * @param waits the client that gets this copy waits
   * @param others idles of turns before the client's own
   */
  withholds(frame: Frame, waits: boolean, others: ReadonlySet<unknown> | undefined): boolean {
    const id = eventId(frame);
    if (others?.has(id)) return true;
    if (!this.seen.includes(id)) this.seen.push(id);
    if (this.seen.length > MOST) this.seen.shift();
    return waits;
  }

  /** The idles so far, for somebody whose turn comes now; undefined when there were none. */
  take(othersWait: boolean): ReadonlySet<unknown> | undefined {
    if (this.seen.length === 0) return undefined;
    const ids = new Set(this.seen);
    if (!othersWait) this.seen = [];
    return ids;
  }
}

function eventId(frame: Frame): unknown {
  try {
    const { params } = JSON.parse(frame.buffer.toString('utf8', frame.body, frame.end)) as { params?: { event?: { id?: unknown } } };
    return params?.event?.id;
  } catch {
    return undefined;
  }
}
