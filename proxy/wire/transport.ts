import type { Frame, WireFault } from './frame.js';

/** Why a transport closed. */
export interface CloseCause {
  /** `peer_closed`, `reset`, `fault`, or what `end` or `destroy` was given. */
  reason: string;
  /** Set when the peer sent what cannot be decoded, whatever the reason. */
  fault?: WireFault;
  error?: Error;
}

export interface TransportEvents {
  /** A message came. The frame is valid during the call only (frame.ts). */
  onFrame(frame: Frame): void;
  /** Bytes came, and the frames that they completed have been given out. */
  onChunk?(): void;
  /**
   * What the peer sent cannot be decoded any further; nothing more is read. The owner may answer a
   * last time with `end`; if it has not when this returns, the transport is destroyed.
   */
  onFault?(fault: WireFault): void;
  /** `bufferedBytes` had been above SOFT_LIMIT and has fallen to LOW_LIMIT or less. */
  onDrain?(): void;
  /** Exactly once, never within a call of the transport's; nothing is sent or received afterwards. */
  onClose(cause: CloseCause): void;
}

/**
 * Bytes that are given to the socket before the kernel takes them. What waits beyond that waits in
 * the transport's own queue, from which it can still be dropped. An owner's bound on `bufferedBytes`
 * below this would never see `onDrain`.
 */
export const SOFT_LIMIT = 64 * 1024;

/** See `onDrain`, in bytes. */
export const LOW_LIMIT = 16 * 1024;

/** How long `end` waits for the peer, in ms. */
export const GRACE = 1000;

/** One connection that carries JSON-RPC messages, whichever way they are framed on it. */
export interface Transport {
  readonly kind: 'tcp' | 'websocket';
  /** `address:port` of the peer, for logs. */
  readonly remote: string;
  /** True from `end`, `destroy` or the loss of the peer on: what is sent then is dropped. */
  readonly closed: boolean;
  /** Bytes accepted for sending and not yet taken by the kernel. */
  readonly bufferedBytes: number;
  /** Bytes read: with headers on TCP, payloads on a WebSocket. */
  readonly bytesIn: number;
  /** Bytes given to the socket, likewise. */
  readonly bytesOut: number;
  readonly framesIn: number;
  /** Frames accepted for sending. */
  readonly framesOut: number;
  /** Largest message that is accepted, in bytes; counts from the next message on. */
  maxFrame: number;

  /** Begins to read; called again, another one is told from then on. */
  listen(events: TransportEvents): void;
  /**
   * Sends a frame at the end of this turn of the event loop, together with whatever else is sent to
   * this peer. The frame object may be reused at once; its bytes must not be changed any more, unless they lie in the arena.
   */
  sendFrame(frame: Frame): void;
  sendText(json: string): void;
  /** Stops reading. Frames of the chunk being decoded still come. Once is enough, twice does not hurt. */
  pause(): void;
  resume(): void;
  /**
   * Stops receiving, sends what is waiting, says good-bye, and destroys the connection if the peer
   * has not followed in time.
   * @param lastText a last message; queued frames of which nothing has left are dropped for it
   * @param graceMs how long the peer has, in ms
   */
  end(reason: string, lastText?: string, graceMs?: number): void;
  /** Closes now; what is waiting is dropped. */
  destroy(reason: string): void;
}
