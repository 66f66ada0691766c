import { isDeepStrictEqual } from 'node:util';
import { keyOf, toJsonSchema, type SchemaNode } from './json-schema.js';
import { sections, type SkyportConfig } from './schema.js';

export interface Changes {
  /** Keys whose new value is used only after a restart; until then the old one is in force. */
  needsRestart: string[];
  /** Keys whose new value is used at once. */
  reloaded: string[];
}

const root = toJsonSchema(sections);

/** What differs between two configurations, key by key; a list or a mapping of free names counts as one key. */
export function changes(a: SkyportConfig, b: SkyportConfig): Changes {
  const found: Changes = { needsRestart: [], reloaded: [] };
  compare(a, b, root, [], false, found);
  return found;
}

function compare(a: unknown, b: unknown, node: SchemaNode, path: string[], restart: boolean, found: Changes): void {
  const needsRestart = restart || node['x-restart'] === true;
  if (node.properties === undefined) {
    if (!isDeepStrictEqual(a, b)) (needsRestart ? found.needsRestart : found.reloaded).push(keyOf(path));
    return;
  }
  for (const [key, child] of Object.entries(node.properties)) {
    compare(valueOf(a, key), valueOf(b, key), child, [...path, key], needsRestart, found);
  }
}

function valueOf(parent: unknown, key: string): unknown {
  return typeof parent === 'object' && parent !== null ? (parent as Record<string, unknown>)[key] : undefined;
}
