import { FrameDecoder, type DecoderOptions } from '../../../proxy/wire/decoder.js';
import type { Frame, WireFault } from '../../../proxy/wire/frame.js';

/** Bodies as text, with whatever went wrong. */
export interface Decoded {
  bodies: string[];
  fault: WireFault | undefined;
}

export function bodyOf(frame: Frame): string {
  return frame.buffer.toString('utf8', frame.body, frame.end);
}

/** The bytes that a transport would forward. */
export function bytesOf(frame: Frame): string {
  return frame.buffer.toString('latin1', frame.start, frame.end);
}

export function decode(chunks: Iterable<Buffer | string>, options: Partial<DecoderOptions> = {}): Decoded {
  const bodies: string[] = [];
  const decoder = new FrameDecoder({ maxFrame: 1 << 20, onFrame: (frame) => bodies.push(bodyOf(frame)), ...options });
  let fault: WireFault | undefined;
  for (const chunk of chunks) fault = decoder.push(Buffer.from(chunk as string));
  return { bodies, fault };
}

export function framed(body: string): string {
  return `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
