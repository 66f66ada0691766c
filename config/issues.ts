import type { z } from 'zod';
import { closest } from './closest.js';
import { HIDDEN, allowed, keyOf, nodeAt, nodesTo, noun, type Path, type SchemaNode } from './json-schema.js';
import type { Problem } from './problem.js';
import type { Source } from './source.js';

type Issue = z.core.$ZodIssue;

/** Puts each of zod's issues into words, at its place in the file. The issues must carry their input (`reportInput`). */
export function problemsOf(issues: readonly Issue[], source: Source, root: SchemaNode): Problem[] {
  return issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((name) => unknownKey(name, issue.path, source, root));
    }
    if (issue.code === 'invalid_key') return [badName(issue, source, root)];
    return [badValue(issue, source, root)];
  });
}

/** A problem with the value at a place, its `found` already fit to be printed. */
export function problemAt(
  source: Source, root: SchemaNode, path: Path, message: string,
  more: { value?: unknown; allowed?: string; severity?: Problem['severity'] } = {},
): Problem {
  return {
    file: source.file, ...source.position(path), key: keyOf(path), message,
    found: found(more.value, path, source, root), allowed: more.allowed, severity: more.severity ?? 'error',
  };
}

function badValue(issue: Issue, source: Source, root: SchemaNode): Problem {
  const node = nodeAt(root, issue.path) ?? {};
  const parent = issue.path.slice(0, -1);
  // `{ TOKEN: , abc }`: in a mapping of free names, a name without a value may be a value without its name.
  if (issue.input === null && nodeAt(root, parent)?.propertyNames !== undefined) {
    return { ...problemAt(source, root, issue.path, `is not ${noun(node)}`, { value: null }), key: keyOf([...parent, HIDDEN]) };
  }
  if (issue.input === undefined) {
    return problemAt(source, root, issue.path, `is required: ${noun(node)}`, { allowed: allowed(node) });
  }
  return problemAt(source, root, issue.path, messageFor(issue, node), { value: issue.input, allowed: allowed(node) });
}

function messageFor(issue: Issue, node: SchemaNode): string {
  switch (issue.code) {
    case 'invalid_type':
      return isBare(issue.input) && node.type === 'string' && node.enum === undefined && node['x-unit'] === undefined
        ? `is not ${noun(node)}; put it in quotes`
        : `is not ${noun(node)}`;
    case 'invalid_value': {
      if (node['x-later']?.includes(String(issue.input))) return 'is not available in this version';
      const meant = closest(String(issue.input), node.enum?.map(String) ?? []);
      return meant === undefined ? 'is not one of the allowed words' : `is not one of the allowed words; did you mean ${meant}?`;
    }
    case 'too_small':
      return issue.origin === 'string' || issue.origin === 'array' ? 'must not be empty' : 'is out of range';
    case 'too_big': return 'is out of range';
    // Of the kinds that a value may have, a text is what a bare word was meant to be.
    case 'invalid_union': return isBare(issue.input) ? 'is not a text; put it in quotes' : `is not ${noun(node)}`;
    default: return issue.message;
  }
}

/** What YAML made of a text without quotes: `true`, `42`. */
function isBare(value: unknown): boolean {
  return typeof value === 'boolean' || typeof value === 'number';
}

function unknownKey(name: string, parent: Path, source: Source, root: SchemaNode): Problem {
  const here = nodeAt(root, parent);
  const path = [...parent, name];
  const meant = hint(name, here, root);
  // A name without a value that resembles no key may be a value without its name.
  const shown = meant !== '' || source.hasValue(path);
  return {
    file: source.file, ...source.keyPosition(path), key: keyOf(shown ? path : [...parent, HIDDEN]),
    message: `unknown key${meant}`,
    allowed: here === undefined ? undefined : allowed(here),
    severity: 'error',
  };
}

function hint(name: string, here: SchemaNode | undefined, root: SchemaNode): string {
  const near = closest(name, Object.keys(here?.properties ?? {}));
  if (near !== undefined) return `; did you mean ${near}?`;
  if (name.includes(':')) return '; is a space missing after the colon?';
  const elsewhere = keysNamed(name, root, []);
  return elsewhere.length === 1 ? `; did you mean ${elsewhere[0]}?` : '';
}

/** The places where a key of exactly this name belongs. */
function keysNamed(name: string, node: SchemaNode, path: PropertyKey[]): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => [
    ...(key === name ? [keyOf([...path, key])] : []),
    ...keysNamed(name, child.items ?? child, child.items === undefined ? [...path, key] : [...path, key, -1]),
  ]);
}

/** A name in a mapping of free names (roles, environment variables) that is not one. */
function badName(issue: Issue & { code: 'invalid_key' }, source: Source, root: SchemaNode): Problem {
  const parent = issue.path.slice(0, -1);
  const names = nodeAt(root, parent)?.propertyNames;
  return {
    file: source.file, ...source.keyPosition(issue.path),
    key: keyOf(issue.path),
    message: issue.issues[0]?.message ?? 'is not a name',
    allowed: names === undefined ? undefined : allowed(names),
    severity: 'error',
  };
}

const SECRET_NAME = /(?:^|_|-)(?:token|secret|password|passwd|key)$|apikey$|accesstoken$/i;

/** What the file says, or just its kind where it is secret, may be (from the environment, credentials in a URL), or is not a single value. */
function found(value: unknown, path: Path, source: Source, root: SchemaNode): string | undefined {
  if (value === undefined) return undefined;
  const nodes = nodesTo(root, path);
  const last = nodes[nodes.length - 1];
  const hidden = nodes.some((node) => node['x-secret'] === true)
    || path.some((step) => typeof step === 'string' && SECRET_NAME.test(step))
    || source.fromEnvironment(path)
    || nodes.length <= path.length
    || last?.type === 'object' || last?.type === 'array'
    || (typeof value === 'string' && value.includes('@') && value.includes(':'));
  return hidden ? kindOf(value) : shown(value);
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'string' ? 'a text' : `a ${typeof value}`;
}

function shown(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return kindOf(value);
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}
