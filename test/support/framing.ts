/**
 * Content-Length framing for the test side, written apart from proxy/wire so that neither can hide a
 * mistake of the other. More header lines than Content-Length are read over (PROTOCOL: "Framing").
 */

/** One frame around a JSON text. */
export function frame(text: string | Buffer): Buffer {
  const body = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
  return Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`, 'latin1'), body]);
}

export class FrameReader {
  private held: Buffer[] = [];
  private size = 0;
  /** Bytes that are needed before it is worth to look again. */
  private wanted = 1;

  /** Takes bytes split anywhere. @returns the texts of the frames that are complete now */
  push(chunk: Buffer): string[] {
    this.held.push(chunk);
    this.size += chunk.length;
    if (this.size < this.wanted) return [];
    let bytes = this.held.length === 1 ? chunk : Buffer.concat(this.held, this.size);
    const texts: string[] = [];
    for (;;) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) {
        this.wanted = bytes.length + 1;
        break;
      }
      const length = /^content-length:\s*(\d+)\s*$/im.exec(bytes.toString('latin1', 0, end))?.[1];
      if (length === undefined) throw new Error(`frame without Content-Length: ${bytes.toString('latin1', 0, end)}`);
      const stop = end + 4 + Number(length);
      if (bytes.length < stop) {
        this.wanted = stop;
        break;
      }
      texts.push(bytes.toString('utf8', end + 4, stop));
      bytes = bytes.subarray(stop);
    }
    this.held = bytes.length > 0 ? [bytes] : [];
    this.size = bytes.length;
    if (this.size === 0) this.wanted = 1;
    return texts;
  }
}
