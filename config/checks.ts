import { collide, isLoopback, parseAddress, parseBackendUrl, type Address } from './address.js';
import { closest } from './closest.js';
import { fleetChecks } from './fleet-checks.js';
import { problemAt } from './issues.js';
import { idPattern } from './pattern.js';
import { nodeAt, type Path, type SchemaNode } from './json-schema.js';
import type { Problem } from './problem.js';
import type { Source } from './source.js';
import { parseDuration, parseSize } from './units.js';
import { groupsIn } from './values.js';

/**
 * What no single key shows. It reads the file's values before they are known to be good, so that
 * these mistakes are told together with all others; a value that it cannot read is somebody
 * else's mistake and passed over.
 */
export function crossChecks(value: unknown, source: Source, root: SchemaNode, rules?: readonly string[]): Problem[] {
  const file = new Checked(value, source, root);
  return [
    ...listeners(file), ...backends(file), ...somethingToRouteTo(file), ...logins(file),
    ...ordered(file), ...fleetChecks(file), ...idleQuota(file), ...redis(file), ...sharingRules(file), ...openedRules(file, rules), ...notInForce(file, root, []),
  ];
}

/** The file's values, and problems at their places. */
export class Checked {
  constructor(readonly value: unknown, readonly source: Source, readonly root: SchemaNode) {}

  at(path: Path): unknown {
    let value = this.value;
    for (const step of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
      value = (value as Record<PropertyKey, unknown>)[step];
    }
    return value;
  }

  list(path: Path): unknown[] {
    const value = this.at(path);
    return Array.isArray(value) ? value : [];
  }

  text(path: Path): string | undefined {
    const value = this.at(path);
    return typeof value === 'string' ? value : undefined;
  }

  /** As written, or the default. */
  orDefault(path: Path): unknown {
    return this.at(path) ?? nodeAt(this.root, path)?.default;
  }

  error(path: Path, message: string, more: { value?: unknown; allowed?: string } = {}): Problem {
    return problemAt(this.source, this.root, path, message, more);
  }

  warning(path: Path, message: string): Problem {
    return problemAt(this.source, this.root, path, message, { severity: 'warning' });
  }
}

function listeners(file: Checked): Problem[] {
  const seen: { key: string; address: Address }[] = [];
  return file.list(['listen']).flatMap((entry, i) => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return [];
    const path = ['listen', i];
    const [tcp, http] = [file.at([...path, 'tcp']), file.at([...path, 'http'])];
    const problems: Problem[] = [];
    if ((tcp === undefined) === (http === undefined)) {
      problems.push(file.error(path, 'needs either tcp or http, and not both', { allowed: '{ tcp: host:port, as? } or { http: host:port, origins? }' }));
    } else if (http !== undefined && file.at([...path, 'as']) !== undefined) {
      problems.push(file.error([...path, 'as'], 'is only for a tcp listener'));
    } else if (tcp !== undefined && file.at([...path, 'origins']) !== undefined) {
      problems.push(file.error([...path, 'origins'], 'is only for an http listener'));
    }
    for (const kind of ['tcp', 'http']) {
      const text = file.text([...path, kind]);
      const address = text === undefined ? undefined : parseAddress(text);
      if (address === undefined) continue;
      const other = seen.find((one) => collide(one.address, address));
      if (other !== undefined) problems.push(file.error([...path, kind], `is already taken by ${other.key}`, { value: text }));
      seen.push({ key: `listen[${i}].${kind}`, address });
    }
    return problems;
  });
}

function backends(file: Checked): Problem[] {
  const names = new Map<string, number>();
  const urls = new Map<string, number>();
  const own = (file.orDefault(['listen']) as unknown[] | undefined ?? [])
    .map((_, i) => file.text(['listen', i, 'tcp'])).concat(file.at(['listen']) === undefined ? '127.0.0.1:4321' : undefined)
    .map((text) => (text === undefined ? undefined : parseAddress(text)));
  return file.list(['backends']).flatMap((_, i) => {
    const problems: Problem[] = [];
    const name = file.text(['backends', i, 'name']);
    const url = file.text(['backends', i, 'url']);
    const address = url === undefined ? undefined : parseBackendUrl(url);
    if (name !== undefined && names.has(name)) {
      problems.push(file.error(['backends', i, 'name'], `is already the name of backends[${names.get(name)}]`, { value: name }));
    } else if (name !== undefined) names.set(name, i);
    if (name?.startsWith('managed-') === true) {
      problems.push(file.error(['backends', i, 'name'], 'is a name of the servers that Skyport runs itself', { value: name, allowed: 'a name that does not begin with managed-' }));
    }
    if (url === undefined || address === undefined) return problems;
    if (own.some((one) => one !== undefined && one.host === address.host && one.port === address.port)) {
      problems.push(file.error(['backends', i, 'url'], 'is an address that Skyport itself listens on', { value: url }));
    }
    if (urls.has(url)) {
      problems.push(file.warning(['backends', i, 'url'], `is the address of backends[${urls.get(url)}] too: one CLI server would count twice`));
    } else urls.set(url, i);
    return problems;
  });
}

function somethingToRouteTo(file: Checked): Problem[] {
  const count = file.orDefault(['fleet', 'count']);
  const backendsGiven = file.orDefault(['backends']);
  const none = Array.isArray(backendsGiven) && backendsGiven.length === 0;
  if (file.orDefault(['fleet', 'isolation']) === 'per_user') return [];
  if (none && (count === 0 || count === undefined)) {
    return [file.error([], 'there is nothing to route to', { allowed: 'at least one entry in backends, a fleet.count of at least 1, or fleet.isolation: per_user' })];
  }
  const fleet = file.at(['fleet']);
  if (typeof fleet === 'object' && fleet !== null && file.at(['fleet', 'count']) === undefined) {
    return [file.warning(['fleet'], 'no server is started, because fleet.count is not set')];
  }
  return [];
}

function logins(file: Checked): Problem[] {
  const anonymous = file.text(['identity', 'anonymous']);
  const entries = file.list(['listen']).map((_, i) => i);
  const standsForUser = entries.some((i) => file.at(['listen', i, 'as']) !== undefined);
  if (anonymous === undefined && file.at(['identity', 'tokens_file']) === undefined && !standsForUser) {
    return [file.warning(['identity'], 'every client is refused: neither identity.anonymous nor identity.tokens_file nor a listener with `as` is set')];
  }
  return entries.flatMap((i) => ['tcp', 'http'].flatMap((kind) => {
    const address = parseAddress(file.text(['listen', i, kind]) ?? '');
    const noToken = anonymous !== undefined || file.at(['listen', i, 'as']) !== undefined;
    return address === undefined || isLoopback(address.host) || !noToken ? []
      : [file.warning(['listen', i, kind], 'whoever can reach this address gets in without a token')];
  }));
}

/** Pairs of keys of which the first may not be larger than the second. */
const ORDERED: readonly [Path, Path][] = [
  [['limits', 'max_frame'], ['limits', 'client_buffer']],
  [['links', 'base'], ['links', 'max']],
  [['health', 'ejection', 'base'], ['health', 'ejection', 'max']],
  [['fleet', 'restart_backoff', 'min'], ['fleet', 'restart_backoff', 'max']],
  [['sessions', 'quota', 'per_session'], ['sessions', 'quota', 'per_user']],
];

function ordered(file: Checked): Problem[] {
  return ORDERED.flatMap(([low, high]) => {
    const [least, most] = [file.orDefault(low), file.orDefault(high)];
    const [a, b] = [magnitude(least), magnitude(most)];
    if (a === undefined || b === undefined || a <= b) return [];
    // Told at the one that is in the file; the other may be a default.
    const [at, other, word, text] = file.at(high) === undefined
      ? [low, high, 'larger', most] : [high, low, 'smaller', least];
    return [file.error(at, `is ${word} than ${other.join('.')}, ${String(text)}`, { value: file.at(at) })];
  });
}

function magnitude(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' ? parseDuration(value) ?? parseSize(value) : undefined;
}

function idleQuota(file: Checked): Problem[] {
  const state = file.orDefault(['sessions', 'state']);
  if (file.at(['sessions', 'quota']) === undefined || state === 'skyport') return [];
  return [file.warning(['sessions', 'quota'], `bounds nothing: with sessions.state ${String(state)} Skyport keeps no state`)];
}

function sharingRules(file: Checked): Problem[] {
  return file.list(['sessions', 'shares']).flatMap((_, i) => {
    const at = ['sessions', 'shares', i];
    const problems: Problem[] = [];
    const names = ['users', 'roles'].flatMap((kind) =>
      file.list([...at, 'with', kind]).map((name, n) => ({ path: [...at, 'with', kind, n], name })));
    const named = file.at([...at, 'with']);
    if (typeof named === 'object' && named !== null && names.length === 0) {
      problems.push(file.error([...at, 'with'], 'names nobody', { allowed: 'users, roles or both' }));
    }
    const text = file.text([...at, 'pattern']);
    if (text === undefined || text === '') return problems;
    const verdict = idPattern(text);
    if ('trouble' in verdict) return [...problems, file.error([...at, 'pattern'], verdict.trouble, { value: text })];
    if (!verdict.anchored) problems.push(file.warning([...at, 'pattern'], 'does not begin with ^, so it may match anywhere in a session id'));
    for (const { path, name } of names) {
      const unknown = typeof name === 'string' ? groupsIn(name).find((group) => !verdict.groups.includes(group)) : undefined;
      if (unknown !== undefined) problems.push(file.error(path, `refers to a group ${unknown}, which the pattern does not have`, { value: name }));
    }
    return problems;
  });
}

function redis(file: Checked): Problem[] {
  const given = ['url', 'sentinel', 'cluster', 'ca_file'].filter((key) => file.at(['store', key]) !== undefined);
  if (file.orDefault(['store', 'driver']) !== 'redis') {
    return given.map((key) => file.error(['store', key], 'is only for the driver redis'));
  }
  return [
    ...(given.includes('url') ? [] : [file.error(['store', 'driver'], 'needs store.url', { value: 'redis', allowed: 'redis together with store.url, or embedded' })]),
    ...(file.orDefault(['sessions', 'state']) === 'server'
      ? [file.error(['sessions', 'state'], 'does not go with store.driver redis: a session must be able to go on at another Skyport', { value: 'server', allowed: 'skyport, shared' })] : []),
    ...(given.includes('sentinel') && given.includes('cluster') ? [file.error(['store', 'cluster'], 'excludes store.sentinel')] : []),
  ];
}

function openedRules(file: Checked, rules: readonly string[] | undefined): Problem[] {
  const open = file.at(['guard', 'open']);
  if (rules === undefined || typeof open !== 'object' || open === null) return [];
  return Object.keys(open).flatMap((role) => file.list(['guard', 'open', role]).flatMap((rule, i) => {
    if (typeof rule !== 'string' || rules.includes(rule)) return [];
    const meant = closest(rule, rules);
    const message = meant === undefined ? 'there is no such rule' : `there is no such rule; did you mean ${meant}?`;
    return [file.error(['guard', 'open', role, i], message, { value: rule, allowed: rules.join(', ') })];
  }));
}

function notInForce(file: Checked, node: SchemaNode, path: PropertyKey[]): Problem[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const here = [...path, key];
    const own = child['x-not-in-force'] === true && file.at(here) !== undefined
      ? [file.warning(here, 'is accepted but not in force in this version')] : [];
    return [...own, ...notInForce(file, child, here)];
  });
}
