/**
 * Makes schema.generated.ts from the schema that the installed SDK ships: every method, its
 * parameters, and every place in parameters and result where a session id travels. A test runs
 * it in memory and fails when the committed file is stale; to renew the file:
 *
 *   npm run build && node dist/proxy/protocol/generate.js
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

export type SchemaSection = 'server' | 'session' | 'clientSession' | 'clientGlobal';

export interface SchemaMethod {
  readonly name: string;
  readonly section: SchemaSection;
  /** Marked internal by the schema: meant for the runtime's own parts, not for SDK programs. */
  readonly internal: boolean;
  /** Needs no answer. */
  readonly notification: boolean;
  /** Names of the top-level parameters, sorted. */
  readonly params: readonly string[];
  /** Paths of session ids in the parameters: `a`, `a.b`, `a[]`, `a[].b`, `a{}` (the keys of a map). */
  readonly paramIds: readonly string[];
  readonly resultIds: readonly string[];
}

interface Node {
  readonly $ref?: string;
  readonly type?: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly additionalProperties?: Node | boolean;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
  readonly allOf?: readonly Node[];
  readonly not?: unknown;
}

interface Entry {
  readonly rpcMethod: string;
  readonly visibility?: string;
  readonly notification?: boolean;
  readonly params?: Node | null;
  readonly result?: Node | null;
}

const SECTIONS: readonly SchemaSection[] = ['server', 'session', 'clientSession', 'clientGlobal'];

/** A property that holds session ids by its name, as the schema spells them. */
const NAMED = /session_?ids?$/i;
/** Mission Control's ids name a task on GitHub, not a session of a CLI server. */
const FOREIGN = /^mc_?session_?id$/i;
/** One that only says so: `inUse` of sessions.checkInUse, the keys of `sizes` and `freedBytes`. */
const DESCRIBED = /^(session ids?\b|map of session\s?id|the session id)/i;

/** Reads the methods out of a parsed api.schema.json, in its order. */
export function readSchema(schema: unknown): SchemaMethod[] {
  const root = schema as Record<SchemaSection, unknown> & { definitions: Record<string, Node> };
  return SECTIONS.flatMap((section) =>
    entries(root[section]).map((entry) => ({
      name: entry.rpcMethod,
      section,
      internal: entry.visibility === 'internal',
      notification: entry.notification === true,
      params: [...topLevel(entry.params ?? undefined, root.definitions)].sort(),
      paramIds: idPaths(entry.params ?? undefined, root.definitions),
      resultIds: idPaths(entry.result ?? undefined, root.definitions),
    })),
  );
}

/** The text of schema.generated.ts for a parsed api.schema.json. */
export function generateSchema(schema: unknown): string {
  const rows = readSchema(schema).map((m) => {
    const flags = (m.internal ? 'i' : '') + (m.notification ? 'n' : '');
    const cells = [m.name, m.section, flags, m.params.join(' '), m.paramIds.join(' '), m.resultIds.join(' ')];
    while (cells.at(-1) === '') cells.pop();
    return `  [${cells.map((cell) => `'${cell}'`).join(', ')}],`;
  });
  return [
    '// Made by generate.ts from the schema of the installed SDK. Do not edit.',
    '// [method, section, flags (i internal, n notification), parameters, session ids in parameters, session ids in the result]',
    'export const SCHEMA_ROWS: readonly (readonly string[])[] = [',
    ...rows,
    '];',
    '',
  ].join('\n');
}

/** Turns the rows of schema.generated.ts back into methods. */
export function parseRows(rows: readonly (readonly string[])[]): SchemaMethod[] {
  const words = (cell: string | undefined) => (cell ?? '').split(' ').filter(Boolean);
  return rows.map(([name = '', section = 'server', flags = '', params, paramIds, resultIds]) => ({
    name,
    section: section as SchemaSection,
    internal: flags.includes('i'),
    notification: flags.includes('n'),
    params: words(params),
    paramIds: words(paramIds),
    resultIds: words(resultIds),
  }));
}

/** The schema that the installed SDK ships in its package for this platform. */
export function installedSchema(): unknown {
  const platform = `@github/copilot-sdk-${process.platform}-${process.arch}`;
  const sdk = createRequire(import.meta.url).resolve('@github/copilot-sdk');
  const manifest = createRequire(sdk).resolve(`${platform}/package.json`);
  return JSON.parse(readFileSync(join(dirname(manifest), 'schemas', 'api.schema.json'), 'utf8'));
}

function entries(node: unknown): Entry[] {
  if (typeof node !== 'object' || node === null) return [];
  if ('rpcMethod' in node) return [node as Entry];
  return Object.values(node).flatMap(entries);
}

function variants(node: Node): readonly Node[] {
  return [...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.allOf ?? [])];
}

function resolve(node: Node, definitions: Record<string, Node>): Node {
  const name = node.$ref?.split('/').pop();
  return name === undefined ? node : (definitions[name] ?? {});
}

function topLevel(node: Node | undefined, definitions: Record<string, Node>): Set<string> {
  if (node === undefined) return new Set();
  const target = resolve(node, definitions);
  const names = new Set(Object.keys(target.properties ?? {}));
  for (const variant of variants(target)) for (const name of topLevel(variant, definitions)) names.add(name);
  return names;
}

function idPaths(node: Node | undefined, definitions: Record<string, Node>): string[] {
  const found = new Set<string>();
  const walk = (at: Node, path: string, seen: ReadonlySet<string>): void => {
    if (at.$ref !== undefined) {
      if (seen.has(at.$ref)) return;
      walk(resolve(at, definitions), path, new Set([...seen, at.$ref]));
      return;
    }
    for (const variant of variants(at)) walk(variant, path, seen);
    if (at.items !== undefined) walk(at.items, `${path}[]`, seen);
    if (typeof at.additionalProperties === 'object') walk(at.additionalProperties, `${path}{}`, seen);
    for (const [name, property] of Object.entries(at.properties ?? {})) {
      const here = path === '' ? name : `${path}.${name}`;
      if ((NAMED.test(name) && !FOREIGN.test(name)) || DESCRIBED.test(property.description ?? '')) found.add(here + shape(property));
      walk(property, here, seen);
    }
  };
  if (node !== undefined) walk(node, '', new Set());
  return [...found].sort();
}

function shape(property: Node): string {
  if (property.items !== undefined) return '[]';
  return typeof property.additionalProperties === 'object' ? '{}' : '';
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(join(process.cwd(), 'proxy/protocol/schema.generated.ts'), generateSchema(installedSchema()));
}
