/** Reads a large text file by and by, so that other work goes on in between. */
import { open } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';

/** Bytes at a time; to decode them takes less than a millisecond. */
const CHUNK = 1_048_576;

/** @param flags how to open it; it must not be a pipe */
export async function readLarge(file: string, flags: number): Promise<string> {
  const handle = await open(file, flags);
  try {
    const decoder = new StringDecoder('utf8');
    const chunk = Buffer.allocUnsafeSlow(CHUNK);
    let text = '';
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, CHUNK, null);
      if (bytesRead === 0) return text + decoder.end();
      text += decoder.write(chunk.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}
