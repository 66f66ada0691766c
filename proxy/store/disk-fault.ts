/** What the operating system says about a file, as a FileFault. */
import { FileFault, type FileFaultCode } from './session-files.js';

const MEANINGS: { readonly [code: string]: readonly [FileFaultCode, string] } = {
  ENOENT: ['ENOENT', 'no such file or directory'],
  EEXIST: ['EEXIST', 'it exists already'],
  ENOTDIR: ['ENOTDIR', 'not a directory'],
  EISDIR: ['EISDIR', 'it is a directory'],
  ENOTEMPTY: ['ENOTEMPTY', 'the directory is not empty'],
  EINVAL: ['EINVAL', 'not possible with this name'],
  ENAMETOOLONG: ['EINVAL', 'the name is too long'],
  /** What O_NOFOLLOW says of a symbolic link. */
  ELOOP: ['EINVAL', 'neither a file nor a directory'],
  /** And opening of a socket. */
  ENXIO: ['EINVAL', 'neither a file nor a directory'],
};

/** @param what what was being done, with the path as the session knows it */
export function fileFault(code: 'ENOENT' | 'EEXIST' | 'ENOTDIR' | 'EISDIR' | 'ENOTEMPTY' | 'EINVAL', what: string): FileFault {
  return new FileFault(code, `${what}: ${MEANINGS[code]![1]}`);
}

/** That what is there is neither a file nor a directory; it is never followed, opened or listed. */
export function notAFile(what: string): FileFault {
  return new FileFault('EINVAL', `${what}: neither a file nor a directory`);
}

/**
 * A fault for what went wrong. The system's own message is left out, for it has the path on this machine.
 * @returns what was given if that is a FileFault, or no error of the system and so a bug
 */
export function faultOf(error: unknown, what: string): unknown {
  if (error instanceof FileFault || !(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string') return error;
  const [known, meaning] = MEANINGS[code] ?? ['EIO', `the store failed (${code})`];
  return new FileFault(known, `${what}: ${meaning}`);
}
