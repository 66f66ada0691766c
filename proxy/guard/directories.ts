/** A tenant's place on the host: which paths it may name, decided by their text alone. */
import { isAbsolute, normalize, resolve, sep } from 'node:path';

/**
 * The directory of an owner below the root. One path segment an owner: every byte that is not plain
 * is percent-encoded, so that no two owners share a directory and none leaves the root.
 */
export function ownerDirectory(root: string, owner: string): string {
  const segment = [...Buffer.from(owner, 'utf8')]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9_@+.-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
  return resolve(root, /^\.*$/.test(segment) ? segment.replaceAll('.', '%2E') + (segment === '' ? '%' : '') : segment);
}

/**
 * A path that lies in `home`, made absolute and normalised; undefined when it does not. Links are
 * not followed: the host may be another machine.
 * @param base what a relative path starts from; itself in `home`
 */
export function within(home: string, base: string, path: string): string | undefined {
  if (path.includes('\0') || /^\s*~/.test(path) || path.trim() !== path) return undefined;
  const full = isAbsolute(path) ? normalize(path) : resolve(base, path);
  const clean = full.length > 1 && full.endsWith(sep) ? full.slice(0, -1) : full;
  return clean === home || clean.startsWith(home + sep) ? clean : undefined;
}
