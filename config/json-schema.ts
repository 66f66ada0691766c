import { z } from 'zod';

/**
 * The JSON Schema of a zod schema, and questions about a place in it. Messages, the docs page and
 * editors all read from it, so that they cannot differ.
 */
export interface SchemaNode {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  properties?: Record<string, SchemaNode>;
  additionalProperties?: boolean | SchemaNode;
  propertyNames?: SchemaNode;
  items?: SchemaNode;
  required?: string[];
  'x-noun'?: string;
  'x-allowed'?: string;
  'x-unit'?: 'ms' | 'bytes';
  'x-later'?: string[];
  'x-not-in-force'?: boolean;
  'x-restart'?: boolean;
  'x-secret'?: boolean;
}

export type Path = readonly PropertyKey[];

/** What a file may hold, as JSON Schema draft 7, the draft that YAML editors read. */
export function toJsonSchema(schema: z.ZodType): SchemaNode {
  return z.toJSONSchema(schema, { io: 'input', target: 'draft-7' }) as SchemaNode;
}

/** The nodes from the root down to a place; shorter than the path where the schema knows no such place. */
export function nodesTo(root: SchemaNode, path: Path): SchemaNode[] {
  const nodes = [root];
  for (const step of path) {
    const next = childOf(nodes[nodes.length - 1] as SchemaNode, step);
    if (next === undefined) break;
    nodes.push(next);
  }
  return nodes;
}

export function nodeAt(root: SchemaNode, path: Path): SchemaNode | undefined {
  return nodesTo(root, path)[path.length];
}

function childOf(node: SchemaNode, step: PropertyKey): SchemaNode | undefined {
  if (typeof step === 'number') return node.items;
  const name = String(step);
  if (node.properties !== undefined && Object.hasOwn(node.properties, name)) return node.properties[name];
  return typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined;
}

/** What a value is called: `a duration`, `a mapping`. */
export function noun(node: SchemaNode): string {
  if (node['x-noun'] !== undefined) return node['x-noun'];
  if (node.enum !== undefined) return 'one of a few words';
  switch (node.type) {
    case 'object': return 'a mapping';
    case 'array': return 'a list';
    case 'integer': return 'a whole number';
    case 'boolean': return 'true or false';
    default: return 'a text';
  }
}

/** What is allowed in a place, in words; undefined where the noun says it all. */
export function allowed(node: SchemaNode): string | undefined {
  if (node['x-allowed'] !== undefined) return node['x-allowed'];
  if (node.enum !== undefined) return node.enum.join(', ');
  if (node.type === 'object' && node.properties !== undefined) return Object.keys(node.properties).join(', ');
  return undefined;
}

/** `a.b[0].c`, with `[]` for "any entry" when the index is -1. */
export function keyOf(path: Path): string {
  let key = '';
  for (const step of path) {
    if (typeof step === 'number') key += step < 0 ? '[]' : `[${step}]`;
    else key += (key === '' ? '' : '.') + printable(String(step));
  }
  return key;
}

/**
 * A slip of the pen makes a secret a key: `{token:abc}`, `{token, abc}`. So of the names that are in a
 * file only those are told that are plain words; the line and column show the others.
 */
function printable(name: string): string {
  return /^[A-Za-z_-]{1,40}$/.test(name) || name === 'sha256' ? name : HIDDEN;
}

/** Stands for a name that may be a secret. */
export const HIDDEN = '(not shown)';
