/**
 * The last line of a session's history, put right after a crash.
 *
 * A process that is killed in the middle of an append leaves the beginning of it. CLI servers read a
 * history whose last line is torn, but not one with such a line in its middle (PROTOCOL: "State on disk
 * and moving a session"), and that is what the next append would make of it.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';

const CHUNK = 65_536;
const NEWLINE = 0x0a;

/**
 * Takes away a last line that was cut off; ends one that lacks nothing but its line feed. What does not
 * begin as an event does (`{`) is left alone, as is a file that is not there.
 */
export function mendLastLine(file: string): void {
  const fd = openHistory(file);
  if (fd === undefined) return;
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size === 0) return;
    const tail = lastLine(fd, stat.size);
    if (tail.length === 0 || tail[0] !== 0x7b) return;
    if (isJson(tail)) writeSync(fd, '\n', stat.size);
    else ftruncateSync(fd, stat.size - tail.length);
  } finally {
    closeSync(fd);
  }
}

function openHistory(file: string): number | undefined {
  try {
    return openSync(file, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    // A directory or a link of that name is no history.
    if (['ENOENT', 'EISDIR', 'ELOOP', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** What follows the last line feed; empty if that is the last byte. */
function lastLine(fd: number, size: number): Buffer {
  const found: Buffer[] = [];
  // One byte first: nearly always it is the line feed.
  for (let end = size, length = 1; end > 0; end -= length, length = Math.min(CHUNK, end)) {
    const chunk = Buffer.alloc(length);
    readSync(fd, chunk, 0, length, end - length);
    const at = chunk.lastIndexOf(NEWLINE);
    found.unshift(chunk.subarray(at + 1));
    if (at !== -1) break;
  }
  return Buffer.concat(found);
}

function isJson(line: Buffer): boolean {
  try {
    JSON.parse(line.toString());
    return true;
  } catch {
    return false;
  }
}
