/**
 * Names that cannot lead out of a session's tree, and the directory name of a session.
 *
 * A path is read as POSIX reads it, without looking at the disk: empty and `.` segments count for
 * nothing, `..` takes one back, and above the root there is nothing. What is left holds only segments
 * that are names, so putting it behind the tree's directory cannot lead anywhere else.
 */
import { FileFault } from './session-files.js';

/** Bytes of UTF-8: what ext4, XFS and APFS take for one name. */
const NAME_BYTES = 255;
/** Bytes of a whole path: the store's own directory has to fit before it (PATH_MAX is 4096 on Linux). */
const PATH_BYTES = 1024;
/** Directories above a file are looked at one by one. */
const DEPTH = 32;

/** What nearly every path of a session looks like; it is already as it has to be. */
const PLAIN = /^(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}){1,4}$/;
/** No file name holds NUL, none of ours a backslash; half a surrogate pair has no UTF-8, and two such names would be one. */
const UNUSABLE = /[\0\\\p{Surrogate}]/u;

const SESSION_ID = /^[A-Za-z0-9_-]{1,128}$/;

/**
 * The one spelling of a path: `''` for the root of the tree, else `/name/name`.
 * @throws FileFault EINVAL for one that leads above the root, is too long or too deep, or holds what no name holds
 */
export function treePath(path: string): string {
  if (PLAIN.test(path)) return path;
  if (path.length > PATH_BYTES || Buffer.byteLength(path) > PATH_BYTES) {
    throw new FileFault('EINVAL', `a path may have ${PATH_BYTES} bytes at most`);
  }
  if (UNUSABLE.test(path)) throw new FileFault('EINVAL', 'a path holds a character that a file name cannot have');
  const names: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment !== '..') names.push(segment);
    else if (names.pop() === undefined) throw new FileFault('EINVAL', "a path leads above the session's root");
  }
  if (names.length > DEPTH) throw new FileFault('EINVAL', `a path may be ${DEPTH} names deep at most`);
  if (names.some((name) => Buffer.byteLength(name) > NAME_BYTES)) {
    throw new FileFault('EINVAL', `a name may have ${NAME_BYTES} bytes at most`);
  }
  return names.length === 0 ? '' : `/${names.join('/')}`;
}

/** The paths of the directories above a path, from the top; none for one directly below the root. */
export function directoriesAbove(path: string): string[] {
  const above: string[] = [];
  for (let at = path.indexOf('/', 1); at !== -1; at = path.indexOf('/', at + 1)) above.push(path.slice(0, at));
  return above;
}

/** Whether a path is another one or lies below it. */
export function isWithin(path: string, other: string): boolean {
  return path === other || path.startsWith(`${other}/`);
}

/**
 * A session's directory name, another one for every id also where `a` and `A` are the same name:
 * the id in lower case, then, if it had capitals, a dot and which letters those were (bits, in hex).
 * @throws FileFault EINVAL for what is no session id
 */
export function directoryName(sessionId: string): string {
  if (!SESSION_ID.test(sessionId)) throw new FileFault('EINVAL', 'not a session id');
  const lower = sessionId.toLowerCase();
  if (lower === sessionId) return lower;
  let capitals = 0n;
  for (let at = 0; at < lower.length; at++) {
    if (lower[at] !== sessionId[at]) capitals |= 1n << BigInt(at);
  }
  return `${lower}.${capitals.toString(16)}`;
}
