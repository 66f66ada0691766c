/** The rules of the house (DESIGN: "The house", "Code worth living in"), held against what the files really do. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Source {
  /** Relative to the project, with slashes. */
  readonly file: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  readonly tree: ts.SourceFile;
}

interface Import {
  readonly file: string;
  /** A file of ours relative to the project, or the specifier of a package. */
  readonly target: string;
  readonly ours: boolean;
  readonly typeOnly: boolean;
}

function filesIn(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
    .sort();
}

function read(file: string): Source {
  const text = readFileSync(path.join(ROOT, file), 'utf8');
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const imports: Import[] = [];
  visit(tree, (node) => {
    const specifier = specifierOf(node);
    if (specifier === undefined) return;
    const ours = specifier.startsWith('.');
    const target = ours ? path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, '.ts') : specifier;
    imports.push({ file, target, ours, typeOnly: ts.isImportDeclaration(node) && node.importClause?.isTypeOnly === true });
  });
  return { file, lines: text.split('\n').length - 1, imports, tree };
}

function specifierOf(node: ts.Node): string | undefined {
  if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
    return (node.moduleSpecifier as ts.StringLiteral).text;
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return (node.argument.literal as ts.StringLiteral).text;
  const dynamic = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword;
  return dynamic && ts.isStringLiteralLike(node.arguments[0]!) ? node.arguments[0].text : undefined;
}

function visit(node: ts.Node, look: (node: ts.Node) => void): void {
  look(node);
  node.forEachChild((child) => visit(child, look));
}

/** `file:line` of every node that a predicate holds for. */
function places(sources: readonly Source[], holds: (node: ts.Node) => boolean): string[] {
  return sources.flatMap(({ file, tree }) => {
    const found: string[] = [];
    visit(tree, (node) => {
      if (holds(node)) found.push(`${file}:${tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`);
    });
    return found;
  });
}

const proxy = filesIn('proxy').map(read);
const config = filesIn('config').map(read);
const house = [...proxy, ...config];

/** `proxy/wire`, `config`, or the file itself where it lies directly in proxy/. */
function roomOf(file: string): string {
  const parts = file.split('/');
  if (parts[0] !== 'proxy') return parts[0]!;
  return parts.length > 2 ? `proxy/${parts[1]}` : file;
}

const crossings = house.flatMap(({ imports }) => imports).filter(({ file, target, ours }) => ours && roomOf(file) !== roomOf(target));

/** What each room may know of the others. A room that is not here may know nobody. */
const MAY_KNOW: { readonly [room: string]: readonly string[] } = {
  'proxy/guard': ['proxy/protocol'],
  'proxy/sessions': ['proxy/protocol', 'proxy/store', 'proxy/wire'],
  'proxy/identity': ['proxy/protocol', 'config'],
  'proxy/observe': ['proxy/protocol', 'proxy/channels.ts'],
  'proxy/backends': ['proxy/protocol', 'proxy/routing', 'proxy/sessions', 'proxy/wire', 'proxy/channels.ts'],
  'proxy/clients': ['proxy/protocol', 'proxy/guard', 'proxy/identity', 'proxy/sessions', 'proxy/backends', 'proxy/state', 'proxy/store', 'proxy/wire', 'proxy/channels.ts'],
  'proxy/state': ['proxy/protocol', 'proxy/store', 'proxy/channels.ts'],
  'proxy/admin': ['proxy/observe', 'proxy/channels.ts'],
  'proxy/channels.ts': ['proxy/protocol'],
  'proxy/janitor.ts': ['proxy/channels.ts'],
  'proxy/settings.ts': ['config', 'proxy/backends', 'proxy/fleet', 'proxy/guard', 'proxy/identity', 'proxy/protocol', 'proxy/store'],
  'proxy/orders.ts': ['proxy/admin', 'proxy/channels.ts', 'proxy/clients', 'proxy/sessions'],
  'proxy/upkeep': ['config', 'proxy/admin', 'proxy/backends', 'proxy/channels.ts', 'proxy/clients', 'proxy/fleet', 'proxy/janitor.ts', 'proxy/report.ts'],
  'proxy/chores.ts': ['proxy/channels.ts', 'proxy/clients', 'proxy/janitor.ts', 'proxy/orders.ts', 'proxy/sessions', 'proxy/store', 'proxy/wire'],
  'proxy/managed.ts': ['config', 'proxy/backends', 'proxy/channels.ts', 'proxy/clients', 'proxy/fleet', 'proxy/sessions', 'proxy/settings.ts'],
  'proxy/stopping.ts': ['proxy/sessions'],
  'proxy/stores.ts': ['config', 'proxy/channels.ts', 'proxy/sessions', 'proxy/store'],
  'proxy/membership.ts': ['config', 'proxy/backends', 'proxy/channels.ts', 'proxy/clients', 'proxy/store', 'proxy/stores.ts'],
  'proxy/sharing.ts': ['proxy/admin', 'proxy/clients', 'proxy/report.ts', 'proxy/sessions'],
  'proxy/report.ts': ['proxy/admin', 'proxy/backends', 'proxy/clients', 'proxy/fleet', 'proxy/observe', 'proxy/sessions'],
  'proxy/cli': ['config', 'proxy/admin', 'proxy/channels.ts', 'proxy/guard', 'proxy/identity', 'proxy/observe', 'proxy/package.ts', 'proxy/skyport.ts'],
  'proxy/demo': ['proxy/admin', 'proxy/cli', 'proxy/identity', 'proxy/observe'],
  'proxy/demo.ts': ['proxy/demo'],
  'proxy/main.ts': ['proxy/cli'],
};

/** `file -> target` of the crossings that a predicate holds for. */
function wrong(holds: (one: Import) => boolean): string[] {
  return crossings.filter(holds).map(({ file, target }) => `${file} -> ${target}`);
}

describe('the rooms', () => {
  it('are where the design has them', () => {
    const rooms = new Set(house.map(({ file }) => roomOf(file)));
    expect([...rooms]).toEqual(expect.arrayContaining([
      'proxy/wire', 'proxy/protocol', 'proxy/clients', 'proxy/identity', 'proxy/guard', 'proxy/sessions', 'proxy/routing',
      'proxy/backends', 'proxy/fleet', 'proxy/store', 'proxy/observe', 'proxy/janitor.ts', 'proxy/skyport.ts', 'config',
    ]));
  });

  it.each(['proxy/wire', 'proxy/protocol', 'proxy/routing', 'proxy/store', 'proxy/fleet', 'config'])('%s knows nothing of the others', (room) => {
    expect(wrong(({ file }) => roomOf(file) === room)).toEqual([]);
  });

  it('know only those that they may know', () => {
    expect(wrong(({ file, target }) => file !== 'proxy/skyport.ts' && !(MAY_KNOW[roomOf(file)] ?? []).includes(roomOf(target)))).toEqual([]);
  });

  it('are all known to skyport.ts alone', () => {
    const rooms = [...new Set(house.map(({ file }) => roomOf(file)))].filter((room) => room.startsWith('proxy/') && !room.endsWith('.ts'));
    const knownBy = (file: string): number => new Set(crossings.filter((one) => one.file === file).map(({ target }) => roomOf(target))).size;
    const knowing = house.map(({ file }) => file).filter((file) => knownBy(file) > rooms.length / 2);
    expect(knowing).toEqual(['proxy/skyport.ts']);
  });

  it('above skyport.ts are the command line only', () => {
    expect(wrong(({ file, target }) => target === 'proxy/skyport.ts' && roomOf(file) !== 'proxy/cli')).toEqual([]);
  });

  it('of the path never call their observers', () => {
    const observers = ['proxy/skyport.ts', 'proxy/report.ts', 'proxy/admin', 'proxy/cli', 'proxy/demo'];
    expect(wrong(({ file, target }) => roomOf(target) === 'proxy/observe' && !observers.includes(roomOf(file)))).toEqual([]);
  });

  it('of policy and state know no sockets', () => {
    const pure = new Set(['proxy/guard', 'proxy/sessions', 'proxy/routing', 'proxy/protocol']);
    const sockets = /^(node:)?(net|tls|http|https|http2|dgram|stream)$|^ws$|^proxy\/wire\/(tcp|websocket|transport|connection|outbox|flusher)\.ts$/;
    const found = house.filter(({ file }) => pure.has(roomOf(file))).flatMap(({ imports }) => imports)
      .filter(({ target }) => sockets.test(target)).map(({ file, target }) => `${file} -> ${target}`);
    expect(found).toEqual([]);
  });

  it('of state know the store by its interface only', () => {
    expect(wrong(({ file, target, typeOnly }) => roomOf(file) === 'proxy/sessions' && roomOf(target) === 'proxy/store'
      && !(typeOnly && ['proxy/store/registry.ts', 'proxy/store/session-files.ts'].includes(target)))).toEqual([]);
  });

  it('leave the logger to observe/', () => {
    const loggers = house.flatMap(({ imports }) => imports).filter(({ target }) => target === 'pino' || target === 'prom-client');
    expect([...new Set(loggers.map(({ file }) => roomOf(file)))]).toEqual(['proxy/observe']);
  });

  it('leave the databases to store/', () => {
    const databases = house.flatMap(({ imports }) => imports).filter(({ target }) => target === 'ioredis' || target === 'lmdb');
    expect([...new Set(databases.map(({ file }) => roomOf(file)))]).toEqual(['proxy/store']);
  });

  it('import files of ours that exist, by their compiled names', () => {
    const known = new Set(house.map(({ file }) => file));
    const dangling = house.flatMap(({ imports }) => imports).filter(({ target, ours }) => ours && !known.has(target));
    expect(dangling.map(({ file, target }) => `${file} -> ${target}`)).toEqual([]);
  });
});

describe('the files', () => {
  it('never say any', () => {
    expect(places(house, (node) => node.kind === ts.SyntaxKind.AnyKeyword)).toEqual([]);
  });

  it('silence no checker', () => {
    const silenced = house.filter(({ tree }) => /@ts-(ignore|nocheck|expect-error)|eslint-disable/.test(tree.text)).map(({ file }) => file);
    expect(silenced).toEqual([]);
  });

  it('have no default export', () => {
    const isDefault = (node: ts.Node): boolean => ts.isExportAssignment(node)
      || (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) === true);
    expect(places(house, isDefault)).toEqual([]);
  });

  it('have no more than 400 lines', () => {
    const long = proxy.filter(({ file, lines }) => lines > 400 && !file.endsWith('.generated.ts'));
    expect(long.map(({ file, lines }) => `${file}: ${lines}`)).toEqual([]);
  });

  it('are named after what they are', () => {
    const vague = house.map(({ file }) => file).filter((file) => /(^|[/.-])(utils?|helpers?|managers?|misc|common|stuff)([/.-])/i.test(file));
    expect(vague).toEqual([]);
  });

  it('leave periodic work to the janitor', () => {
    const isInterval = (node: ts.Node): boolean => ts.isIdentifier(node) && node.text === 'setInterval';
    expect(places(house, isInterval).map((place) => place.replace(/:\d+$/, ''))).toEqual(['proxy/janitor.ts']);
  });

  it('print through the terminal and the log, never by console', () => {
    expect(places(house, (node) => ts.isIdentifier(node) && node.text === 'console')).toEqual([]);
  });
});

describe('the package', () => {
  const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as Manifest;

  interface Manifest {
    readonly type: string;
    readonly engines: { readonly node: string };
    readonly dependencies: { readonly [name: string]: string };
  }

  it('asks for the oldest Node that the SDK supports', () => {
    expect(manifest.engines.node).toBe('>=20.19.0');
    expect(manifest.type).toBe('module');
  });

  it('depends only on what runs there', () => {
    const tooNew = Object.keys(manifest.dependencies).filter((name) => {
      const { engines } = JSON.parse(readFileSync(path.join(ROOT, 'node_modules', name, 'package.json'), 'utf8')) as Partial<Manifest>;
      return engines?.node !== undefined && !admits(engines.node, [20, 19, 0]);
    });
    expect(tooNew).toEqual([]);
  });

  it('depends on every package that it imports, and on no other', () => {
    const imported = new Set(house.flatMap(({ imports }) => imports)
      .filter(({ target, ours }) => !ours && !target.startsWith('node:'))
      .map(({ target }) => target.split('/').slice(0, target.startsWith('@') ? 2 : 1).join('/')));
    expect([...imported].sort()).toEqual(Object.keys(manifest.dependencies).sort());
  });
});

/** Whether a range of the kinds `>=1.2.3` and `^1.2.3`, alternatives separated by ||, has this version. */
function admits(range: string, version: readonly number[]): boolean {
  return range.split('||').some((part) => {
    const { operator, numbers } = /^\s*(?<operator>\^|>=)?\s*(?<numbers>\d+(\.\d+)*)\s*$/.exec(part)!.groups!;
    const least = [0, 1, 2].map((index) => Number(numbers!.split('.')[index] ?? 0));
    const first = [0, 1, 2].find((index) => version[index] !== least[index]);
    const reaches = first === undefined || version[first]! > least[first]!;
    return reaches && (operator === '>=' || version[0] === least[0]);
  });
}
