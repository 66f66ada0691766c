/**
 * Finds out whether a CLI server takes what the nudge sends (PROTOCOL: Framing): header lines of
 * the next frame that arrive long before its Content-Length does. A version that has not shown it
 * is not nudged: to a server that reads headers otherwise, the nudge would be a broken frame.
 */
import { MAX_OPEN_HEADER, NUDGE } from '../wire/tcp.js';
import { FrameDecoder } from '../wire/decoder.js';
import { openSocket, type Address } from './dial.js';

/**
 * Sends as many nudges as a link ever leaves open, in two steps, then a `ping` without a token.
 * Any JSON-RPC answer to it shows that the frame was found (-32001 on a server with a token).
 * @param timeout milliseconds
 */
export async function takesNudges(address: Address, timeout: number): Promise<boolean> {
  const socket = await openSocket(address, timeout);
  if ('kind' in socket) return false;
  return new Promise((resolve) => {
    const finish = (taken: boolean): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(taken);
    };
    const deadline = setTimeout(() => finish(false), timeout);
    const decoder = new FrameDecoder({
      maxFrame: 65_536,
      onFrame: (frame) => finish(/"id":"nudge"/.test(frame.buffer.toString('utf8', frame.body, frame.end))),
    });
    socket.on('data', (chunk: Buffer) => {
      if (decoder.push(chunk)) finish(false);
    });
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
    const body = '{"jsonrpc":"2.0","id":"nudge","method":"ping","params":{}}';
    const lines = Math.floor(MAX_OPEN_HEADER / NUDGE.length);
    socket.write(NUDGE);
    setImmediate(() => {
      for (let i = 1; i < lines; i++) socket.write(NUDGE);
      socket.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
    });
  });
}
