import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { stampRead } from './clock.js';
import { Connection, remoteOf } from './connection.js';
import type { Frame, WireFault } from './frame.js';
import type { Piece } from './outbox.js';
import { keepBytes } from './slab.js';

const POLICY_VIOLATION = 1008;
const MESSAGE_TOO_BIG = 1009;
/** What `ws` reports for a connection that ended without a close frame. */
const ABNORMAL = 1006;
/** Longest reason that a close frame can carry, in bytes. */
const MAX_REASON = 123;
const AS_TEXT = { binary: false, compress: false } as const;

/** What frames are handed out in: one object for all transports, as it is valid during the call only. */
const given: Frame = { buffer: Buffer.alloc(0), start: -1, body: 0, end: 0 };

export interface WebSocketOptions {
  /**
   * Largest message that is accepted, in bytes. It is checked when a message is complete: what the
   * `ws` server may gather before is bounded by its own `maxPayload`.
   */
  maxFrame: number;
  /** The code of the close frame for a reason given to `end`; 1008 (policy violation) if left out. */
  closeCode?(reason: string): number;
}

/**
 * JSON-RPC over a WebSocket: one message in one text message, no header (`Frame.start` is -1).
 * Takes over an open `ws` WebSocket without permessage-deflate, and the socket under it.
 */
export class WebSocketTransport extends Connection {
  override readonly kind = 'websocket';
  maxFrame: number;
  private readonly closeCode: (reason: string) => number;

  constructor(
    private readonly ws: WebSocket,
    private readonly socket: Socket,
    options: WebSocketOptions,
  ) {
    super(remoteOf(socket), false);
    this.maxFrame = options.maxFrame;
    this.closeCode = options.closeCode ?? (() => POLICY_VIOLATION);
    ws.binaryType = 'nodebuffer';
    ws.pause();
    ws.on('error', (error) => {
      this.fault ??= faultOf(error);
      this.failed(this.fault === undefined ? 'reset' : 'fault', error);
      // `ws` says good-bye by itself, but would wait 30 s for the peer.
      this.end('fault');
    });
    socket.on('end', () => this.peerEnded());
    ws.on('close', (code) => {
      if (code === ABNORMAL) this.failed('reset', new Error('The connection ended without a close frame'));
      this.gone();
    });
  }

  protected override queue(frame: Frame): void {
    keepBytes(frame.buffer);
    this.outbox.add(undefined, frame.buffer, frame.body, frame.end);
  }

  protected override write(batch: Piece[]): void {
    const last = batch.length - 1;
    this.socket.cork();
    for (let i = 0; i <= last; i++) {
      const { buffer, from, to } = batch[i]!;
      this.bytesOut += to - from;
      this.ws.send(buffer.subarray(from, to), AS_TEXT, i === last ? this.written : undefined);
    }
    this.socket.uncork();
  }

  protected override socketBytes(): number {
    return this.ws.bufferedAmount;
  }

  protected override sayGoodbye(reason: string): void {
    const code = this.fault === undefined ? this.closeCode(reason) : codeOf(this.fault);
    this.ws.close(code, Buffer.from(reason).subarray(0, MAX_REASON));
  }

  protected override cut(): void {
    this.ws.terminate();
  }

  protected override attach(): void {
    this.ws.on('message', (data, isBinary) => {
      if (this.closed) return;
      const buffer = data as Buffer;
      this.bytesIn += buffer.length;
      if (isBinary) this.faulted({ reason: 'not_text', message: 'A binary message' });
      else if (buffer.length > this.maxFrame) {
        this.faulted({ reason: 'frame_too_large', message: `A message of ${buffer.length} bytes is larger than ${this.maxFrame}` });
      } else {
        this.framesIn++;
        stampRead();
        given.buffer = buffer;
        given.end = buffer.length;
        this.events!.onFrame(given);
      }
    });
  }

  protected override setReading(on: boolean): void {
    if (on) this.ws.resume();
    else this.ws.pause();
  }

  protected override discardInput(): void {
    this.ws.removeAllListeners('message');
  }
}

function codeOf(fault: WireFault): number {
  return fault.reason === 'frame_too_large' ? MESSAGE_TOO_BIG : POLICY_VIOLATION;
}

/** What `ws` refused by itself, if that is why it failed; it has sent the close frame then. */
function faultOf(error: Error & { code?: string }): WireFault | undefined {
  if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
    return { reason: 'frame_too_large', message: 'A message is larger than the WebSocket server takes' };
  }
  if (error.code === 'WS_ERR_INVALID_UTF8') return { reason: 'not_text', message: 'A text message is not UTF-8' };
  if (error.code?.startsWith('WS_ERR_') === true) return { reason: 'bad_header', message: 'A malformed WebSocket frame' };
  return undefined;
}
