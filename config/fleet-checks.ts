/** Mistakes in `fleet` that no single key shows; as in checks.ts, values may be anything yet. */
import type { Checked } from './checks.js';
import { keyOf, type Path } from './json-schema.js';
import type { Problem } from './problem.js';

/** Variables of a managed server that Skyport sets itself. A test holds them against those of proxy/fleet. */
export const RESERVED_VARIABLES: readonly string[] = ['COPILOT_HOME', 'COPILOT_CONNECTION_TOKEN', 'SKYPORT_MANAGED'];

export function fleetChecks(file: Checked): Problem[] {
  const users = namesIn(file, ['fleet', 'users']);
  return [
    ...reserved(file, ['fleet', 'env']),
    ...users.flatMap((user) => reserved(file, ['fleet', 'users', user, 'env'])),
    ...users.flatMap((user) => twoTokens(file, user)),
    ...sameUid(file, users),
  ];
}

function reserved(file: Checked, path: Path): Problem[] {
  return namesIn(file, path).filter((name) => RESERVED_VARIABLES.includes(name))
    .map((name) => file.error([...path, name], 'is set by Skyport itself for each of its servers; take it out'));
}

function twoTokens(file: Checked, user: string): Problem[] {
  const name = ['fleet', 'users', user, 'env', 'COPILOT_GITHUB_TOKEN'];
  if (file.at(['fleet', 'users', user, 'github_token']) === undefined || file.at(name) === undefined) return [];
  return [file.warning(name, 'has no effect: github_token is given too, and wins')];
}

/** Two servers with one uid read each other's homes. */
function sameUid(file: Checked, users: readonly string[]): Problem[] {
  const [from, count] = [file.at(['fleet', 'uids', 'from']), file.at(['fleet', 'uids', 'count'])];
  const seen = new Map<number, string>();
  return users.flatMap((user) => {
    const path = ['fleet', 'users', user, 'uid'];
    const uid = file.at(path);
    if (typeof uid !== 'number') return [];
    const other = seen.get(uid);
    seen.set(uid, user);
    if (other !== undefined) return [file.error(path, `is already the uid of ${keyOf(['fleet', 'users', other])}: each could read what the other has`, { value: uid })];
    const given = typeof from === 'number' && typeof count === 'number' && uid >= from && uid < from + count;
    return given ? [file.error(path, 'lies in fleet.uids, of which each uid may be given to another user', { value: uid })] : [];
  });
}

function namesIn(file: Checked, path: Path): string[] {
  const value = file.at(path);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}
