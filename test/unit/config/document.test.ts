import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { configurationPage, jsonSchemaText } from '../../../config/document.js';
import { toJsonSchema, type SchemaNode } from '../../../config/json-schema.js';
import { loadConfig } from '../../../config/load.js';
import { sections } from '../../../config/schema.js';
import { loadTokens } from '../../../proxy/identity/tokens-file.js';
import { put, scratch } from './scratch.js';

const CONFIG = join(import.meta.dirname, '../../../config');

function keys(node: SchemaNode, path: string): { path: string; node: SchemaNode }[] {
  const below = node.items?.properties !== undefined ? keys(node.items, `${path}[]`)
    : Object.entries(node.properties ?? {}).flatMap(([key, child]) => keys(child, path === '' ? key : `${path}.${key}`));
  return path === '' || path.endsWith('[]') ? below : [{ path, node }, ...below];
}

const all = keys(toJsonSchema(sections), '');

test('docs/configuration.md is what the schema says now', () => {
  expect(readFileSync(join(CONFIG, '../docs/configuration.md'), 'utf8')).toBe(configurationPage());
});

test('config/skyport.schema.json is what the schema says now', () => {
  expect(readFileSync(join(CONFIG, 'skyport.schema.json'), 'utf8')).toBe(jsonSchemaText());
});

test('every key has a description that is a sentence', () => {
  expect(all.length).toBeGreaterThan(60);
  expect(all.filter(({ node }) => !/^[^a-z].*\.$/.test(node.description ?? '')).map(({ path }) => path)).toEqual([]);
});

test('every key that holds a value is on the page', () => {
  const page = configurationPage();
  const leaves = all.filter(({ node }) => node.properties === undefined && node.items?.properties === undefined);
  expect(leaves.filter(({ path }) => !page.includes(`| \`${path}\` |`)).map(({ path }) => path)).toEqual([]);
});

const files = ['skyport.yaml', ...readdirSync(join(CONFIG, 'examples')).filter((name) => !name.startsWith('tokens')).map((name) => `examples/${name}`)];

test.each(files)(
  '%s loads without a problem', (name) => {
    const { config, problems } = loadConfig(join(CONFIG, name), {
      CLI_TOKEN: 'one', CLI_SPARE_TOKEN: 'two', CLI_1_TOKEN: 'three', CLI_2_TOKEN: 'four', CLI_3_TOKEN: 'five',
    });
    expect(problems).toEqual([]);
    expect(config).toBeDefined();
  });

describe('the JSON Schema', () => {
  // zod does not read `oneOf` beside `properties`; what it says for editors is load.test.ts's for loading.
  const text = JSON.stringify(JSON.parse(jsonSchemaText()), (key, value: unknown) => (key === 'oneOf' ? undefined : value));
  const editor = z.fromJSONSchema(JSON.parse(text) as Parameters<typeof z.fromJSONSchema>[0]);
  const accepts = (text: string) => editor.safeParse(parse(text)).success;

  test.each(files)('accepts %s', (name) => {
    expect(editor.safeParse(parse(readFileSync(join(CONFIG, name), 'utf8'))).error?.issues ?? []).toEqual([]);
  });

  test('accepts a variable in the place of any single value', () => {
    expect(accepts('health: { rise: "${RISE}", interval: "${I:-2s}" }\nrouting: { policy: "${POLICY}" }\nbackends: [{ name: "a${N}", url: "tcp://${HOST}:1", backup: "${B}" }]')).toBe(true);
  });

  test.each(['fleet: { count: 65 }', 'fleets: {}', 'health: { interval: 2 }', 'health: { interval: 2sec }', 'routing: { policy: random }',
    'backends: [{ name: a }]', 'guard: { open: { Admin: [] } }', 'store: { driver: sqlite }', 'store: { prefix: "{a}" }'])('refuses %s', (text) => {
    expect(accepts(text)).toBe(false);
  });
});

test('examples/static-backends.yaml takes its directory from the environment', () => {
  const { config } = loadConfig(join(CONFIG, 'examples/static-backends.yaml'), { CLI_TOKEN: 'a', CLI_SPARE_TOKEN: 'b', SKYPORT_DATA: '/var/lib/skyport' });
  expect(config?.store.path).toBe('/var/lib/skyport');
  expect(config?.backends.map((b) => b.token)).toEqual(['a', 'a', 'b']);
});

test('the default configuration is two managed servers for one anonymous user on loopback', () => {
  const { config } = loadConfig(join(CONFIG, 'skyport.yaml'), {});
  expect(config).toMatchObject({
    listen: [{ tcp: '127.0.0.1:4321' }, { http: '127.0.0.1:4380' }],
    identity: { anonymous: 'local' },
    fleet: { count: 2, env: { COPILOT_OFFLINE: 'true' }, working_directory: join(CONFIG, '../workspaces') },
    store: { path: join(CONFIG, '../data') },
  });
});

test('the example of a tokens file loads without a problem once it is private', () => {
  const text = readFileSync(join(CONFIG, 'examples/tokens.example.yaml'), 'utf8');
  const { tokens, problems } = loadTokens(put(scratch(), 'tokens.yaml', text));
  expect(problems).toEqual([]);
  expect(tokens?.entries.map((e) => e.principal.user)).toEqual(['alice', 'ops', 'web-app']);
});
