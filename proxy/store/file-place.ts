/** A path of a session's tree as the names it leads through, whatever way it was spelled. */
import { FileFault } from './session-files.js';

/** Bytes, as on Linux. */
const NAME = 255;
const PATH = 4096;

/**
 * @returns no names for the root; `..` at the root stays there
 * @throws FileFault EINVAL when no file can have that name
 */
export function placeOf(path: string): string[] {
  if (path === '' || path.includes('\0') || Buffer.byteLength(path) > PATH) {
    throw new FileFault('EINVAL', 'this is not the name of a file');
  }
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name === '..') names.pop();
    else if (Buffer.byteLength(name) > NAME) throw new FileFault('EINVAL', 'the name is too long');
    else names.push(name);
  }
  return names;
}
