import { existsSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { allowed, keyOf, noun, toJsonSchema, type SchemaNode } from './json-schema.js';
import { sections } from './schema.js';

/**
 * docs/configuration.md and config/skyport.schema.json, both from the schema. Run as a program it
 * writes them: `node dist/config/document.js`.
 */

/** The JSON Schema for editors, as the text of its file. */
export function jsonSchemaText(): string {
  const { $schema, ...rest } = toJsonSchema(sections) as SchemaNode & { $schema?: string };
  const head = { $schema, title: 'Skyport configuration', description: 'Generated from config/schema.ts; do not edit.' };
  return `${JSON.stringify({ ...head, ...withVariables(rest) }, null, 2)}\n`;
}

/** In the file a variable may stand for any single value, and an editor is not to complain about it. */
function withVariables(node: SchemaNode): object {
  const { properties, items, additionalProperties, description, default: initial, ...rest } = node;
  if (properties !== undefined || items !== undefined || typeof additionalProperties === 'object') {
    return {
      ...node,
      ...(properties === undefined ? {} : { properties: Object.fromEntries(Object.entries(properties).map(([key, child]) => [key, withVariables(child)])) }),
      ...(items === undefined ? {} : { items: withVariables(items) }),
      ...(typeof additionalProperties === 'object' ? { additionalProperties: withVariables(additionalProperties) } : {}),
    };
  }
  const checks = Object.keys(rest).filter((key) => key !== 'type' && !key.startsWith('x-'));
  if (rest.type === 'string' && checks.length === 0) return node;
  return { description, default: initial, anyOf: [rest, { type: 'string', pattern: '\\$\\{' }] };
}

/** The reference page, as the text of its file. */
export function configurationPage(): string {
  const root = toJsonSchema(sections);
  const parts = Object.entries(root.properties ?? {}).map(([name, node]) => section(name, node));
  return `${INTRODUCTION}\n${parts.join('\n')}`;
}

const INTRODUCTION = `<!-- Generated from config/schema.ts by \`node dist/config/document.js\`; do not edit. -->
# Configuration

Skyport reads one YAML file (\`skyport start --config FILE\`; without the option the \`config/skyport.yaml\`
that comes with it). \`skyport check\` reads it the same way and prints every mistake with its line,
its column and what is allowed. Complete files are in \`config/examples/\`.

- **Every key may be left out** unless it is marked *required*. A section without entries is the same as
  none. A key that is not on this page is an error.
- **Durations** are whole numbers with a unit: \`500ms\`, \`5s\`, \`2m\`, \`1h\`, \`30d\`. **Sizes** likewise: \`512B\`,
  \`64KiB\`, \`16MiB\`, \`1GB\` (\`KB\` is 1000 bytes, \`KiB\` is 1024).
- **Paths** that are relative start at the directory of the file they are written in.
- **Variables**: \`\${VAR}\` in any value is replaced from the environment when the file is read, and a
  variable that is not set is an error; \`\${VAR:-default}\` gives a default; \`$\${\` stands for \`\${\` itself.
  Inside \`{ }\` and \`[ ]\` put quotes around it. Messages never show a value that came from a variable.
- **Reload**: the file and the tokens file are watched, and SIGHUP reads them again. A file with a
  mistake changes nothing: it is reported and the running configuration stays in force. Keys marked
  *restart* are used from the next start on, all others at once and without dropping a connection.
- **In an editor**: begin the file with \`# yaml-language-server: $schema=./skyport.schema.json\` (the path
  to \`config/skyport.schema.json\`) for completion and checks while typing.
`;

function section(name: string, node: SchemaNode): string {
  const rows = rowsOf(node, [name], node['x-restart'] === true, false).map((row) => `| ${row.map(cell).join(' | ')} |`);
  // A list has no row of its own, so its default stands here.
  const initial = node.items === undefined ? [] : [`Default: \`${JSON.stringify(node.default)}\``, ''];
  return [
    `## ${name}`, '', node.description ?? '', '', ...initial,
    '| key | value | default | change | meaning |',
    '|---|---|---|---|---|',
    ...rows, '',
  ].join('\n');
}

/** One row for each key that holds a value, for lists and free names one for the entry. */
function rowsOf(node: SchemaNode, path: PropertyKey[], restart: boolean, required: boolean): string[][] {
  const needsRestart = restart || node['x-restart'] === true;
  if (node.properties !== undefined) {
    return Object.entries(node.properties).flatMap(([key, child]) =>
      rowsOf(child, [...path, key], needsRestart, node.required?.includes(key) === true));
  }
  if (node.items?.properties !== undefined) return rowsOf(node.items, [...path, -1], needsRestart, false);
  return [[
    `\`${keyOf(path)}\``,
    valueText(node),
    required ? '*required*' : node.default === undefined ? '' : `\`${JSON.stringify(node.default).replace(/^"|"$/g, '')}\``,
    needsRestart ? 'restart' : 'reload',
    meaning(node),
  ]];
}

function valueText(node: SchemaNode): string {
  if (node.items !== undefined) return `a list; each entry ${describe(node.items)}`;
  if (typeof node.additionalProperties === 'object') {
    const names = node.propertyNames === undefined ? 'a name' : noun(node.propertyNames);
    return `a mapping from ${names} to ${describe(node.additionalProperties)}`;
  }
  return describe(node);
}

function describe(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.map((word) => `\`${String(word)}\``).join(', ');
  if (node.items !== undefined) return `a list of ${node['x-allowed'] ?? describe(node.items)}`;
  const [name, words] = [noun(node), allowed(node)];
  if (words === undefined || node.type === 'boolean') return name;
  return node['x-unit'] === undefined ? `${name}: ${words}` : `${name}, ${words.replace(/, with one of.*/, '')}`;
}

function meaning(node: SchemaNode): string {
  const later = node['x-later'] === undefined ? '' : ` Not available in this version: ${node['x-later'].map((word) => `\`${word}\``).join(', ')}.`;
  const idle = node['x-not-in-force'] === true ? ' **Accepted, but not in force in this version.**' : '';
  return `${node.description ?? ''}${later}${idle}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** Writes both files below the directory that holds package.json. */
export function writeDocuments(packageDirectory: string): void {
  writeFileSync(join(packageDirectory, 'docs', 'configuration.md'), configurationPage());
  writeFileSync(join(packageDirectory, 'config', 'skyport.schema.json'), jsonSchemaText());
}

function packageDirectory(from: string): string {
  let directory = from;
  while (!existsSync(join(directory, 'package.json')) && dirname(directory) !== directory) directory = dirname(directory);
  return directory;
}

const self = fileURLToPath(import.meta.url);
if (process.argv[1] !== undefined && existsSync(process.argv[1]) && realpathSync(process.argv[1]) === self) {
  writeDocuments(packageDirectory(dirname(self)));
}
