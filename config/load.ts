import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { crossChecks } from './checks.js';
import { problemsOf } from './issues.js';
import { keyOf, nodeAt, toJsonSchema, type SchemaNode } from './json-schema.js';
import { hasErrors, inFileOrder, type Problem } from './problem.js';
import { schema, sections, type SkyportConfig } from './schema.js';
import { readSource, type Source } from './source.js';

export interface LoadResult {
  /** Undefined when a problem is an error. */
  config?: SkyportConfig;
  /** All of them, in the order of the file. */
  problems: Problem[];
}

export interface LoadOptions {
  /** The rules that `guard.open` may name. Left out: any name passes. */
  rules?: readonly string[];
}

const root = toJsonSchema(sections);

/**
 * Reads and validates a whole configuration, and finds all of its mistakes at once. Never throws for
 * what is in the file, or for a file that cannot be read.
 * @param env where `${VAR}` comes from
 */
export function loadConfig(file: string, env: NodeJS.ProcessEnv = process.env, options: LoadOptions = {}): LoadResult {
  const source = readSource(file, env);
  if (source.broken) return { problems: inFileOrder(source.problems) };
  const value = withoutEmptySections(source.value ?? {}, root);
  const parsed = parse(value, source);
  // A variable that is not set leaves a text that is wrong in other ways too; once is enough.
  const told = new Set(source.problems.map((problem) => problem.key));
  const issues = (parsed.error?.issues ?? []).filter((issue) => !told.has(keyOf(issue.path)));
  const problems = [
    ...source.problems,
    ...problemsOf(issues, source, root),
    ...crossChecks(value, source, root, options.rules),
  ];
  if (parsed.data === undefined || hasErrors(problems)) return { problems: inFileOrder(problems) };
  const config = withResolvedPaths(parsed.data, dirname(resolve(file)));
  return { config, problems: inFileOrder(problems) };
}

/**
 * Where the control socket is according to a configuration that may have mistakes elsewhere.
 * @returns undefined when the file cannot be read that far
 */
export function controlSocket(file: string, env: NodeJS.ProcessEnv): string | undefined {
  const source = readSource(file, env);
  if (source.broken || source.problems.some(({ key }) => /^(admin|store)\b/.test(key))) return undefined;
  const { admin, store } = (source.value ?? {}) as Record<string, unknown>;
  const parsed = schema.safeParse(withoutEmptySections({ admin, store }, root));
  return parsed.data && resolve(dirname(resolve(file)), parsed.data.admin.socket);
}

/** A variable is always a text; where the schema wants a number or a flag, a text that is one is taken as such. */
function parse(value: unknown, source: Source): z.ZodSafeParseResult<SkyportConfig> {
  const first = schema.safeParse(value, { reportInput: true });
  let converted = false;
  for (const issue of first.error?.issues ?? []) {
    if (issue.code !== 'invalid_type' || typeof issue.input !== 'string' || !source.fromEnvironment(issue.path)) continue;
    const scalar = scalarOf(issue.input, issue.expected);
    if (scalar === undefined) continue;
    put(value, issue.path, scalar);
    converted = true;
  }
  return converted ? schema.safeParse(value, { reportInput: true }) : first;
}

function scalarOf(text: string, expected: string): number | boolean | undefined {
  if (expected === 'boolean') return text === 'true' ? true : text === 'false' ? false : undefined;
  return (expected === 'number' || expected === 'int') && /^-?[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}

function put(value: unknown, path: readonly PropertyKey[], scalar: number | boolean): void {
  const parent = path.slice(0, -1).reduce<unknown>((at, step) => (at as Record<PropertyKey, unknown>)[step], value);
  (parent as Record<PropertyKey, unknown>)[path[path.length - 1] as PropertyKey] = scalar;
}

/** `backends:` with all its entries commented out is null to YAML, and means that there are none. */
function withoutEmptySections(value: unknown, node: SchemaNode): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const kept = Object.entries(value).flatMap(([key, child]): [string, unknown][] => {
    const below = nodeAt(node, [key]);
    if (child === null && (below?.type === 'object' || below?.type === 'array')) return [];
    return [[key, below === undefined ? child : withoutEmptySections(child, below)]];
  });
  return Object.fromEntries(kept);
}

function withResolvedPaths(config: SkyportConfig, directory: string): SkyportConfig {
  const absolute = (path: string) => resolve(directory, path);
  const optional = (path: string | undefined) => (path === undefined ? undefined : absolute(path));
  const { working_directory, env, users } = config.fleet;
  const value = (source: SecretSource) => (typeof source === 'object' && 'file' in source ? { file: absolute(source.file) } : source);
  return {
    ...config,
    identity: { ...config.identity, tokens_file: optional(config.identity.tokens_file) },
    fleet: {
      ...config.fleet,
      working_directory: optional(working_directory),
      env: mapped(env, value),
      users: mapped(users, (user) => ({
        ...user,
        env: mapped(user.env, value),
        ...(user.github_token === undefined ? {} : { github_token: value(user.github_token) }),
      })),
    },
    store: { ...config.store, path: absolute(config.store.path), ca_file: optional(config.store.ca_file) },
    admin: { socket: absolute(config.admin.socket) },
  };
}

type SecretSource = SkyportConfig['fleet']['env'][string];

/** The same names with other values. */
function mapped<T>(entries: Record<string, T>, change: (value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, change(value)]));
}
