import { readFileSync, statSync } from 'node:fs';
import {
  LineCounter, isAlias, isMap, isPair, isScalar, isSeq, parseDocument, visit,
  type Document, type ErrorCode, type Node, type Pair,
} from 'yaml';
import { HIDDEN, keyOf, type Path } from './json-schema.js';
import type { Problem } from './problem.js';
import { substitute } from './substitute.js';

/** A YAML file that remembers where each value stands in it. */
export interface Source {
  readonly file: string;
  /** Undefined when the file is empty. */
  readonly value: unknown;
  /** Syntax errors and variables that are not set. With syntax errors, `value` is not to be used. */
  readonly problems: Problem[];
  readonly broken: boolean;
  /** From 1. Where a value stands, or its nearest ancestor that is in the file. */
  position(path: Path): { line: number; column: number };
  /** From 1. Where the key of a mapping's entry stands. */
  keyPosition(path: Path): { line: number; column: number };
  /** True when there is something after the key, or for an entry of a list. */
  hasValue(path: Path): boolean;
  /** True when the value, or something in it, came from the environment. */
  fromEnvironment(path: Path): boolean;
}

/** A file of operators' settings; larger ones are a mistake, and reading them would block. */
const LARGEST = 4 * 1024 * 1024;

/**
 * Reads a file.
 * @param env where `${VAR}` comes from; undefined when the file has no variables
 */
export function readSource(file: string, env: NodeJS.ProcessEnv | undefined): Source {
  const read = readText(file);
  if ('trouble' in read) {
    const problem: Problem = { file, line: 1, column: 1, key: '', message: read.trouble, severity: 'error' };
    return new YamlSource(file, '', undefined, [problem]);
  }
  return new YamlSource(file, read.text, env, []);
}

function readText(file: string): { text: string } | { trouble: string } {
  try {
    const stat = statSync(file);
    if (stat.isDirectory()) return { trouble: 'cannot be read: it is a directory' };
    if (stat.size > LARGEST) return { trouble: 'cannot be read: it is larger than 4 MiB' };
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file)) };
  } catch (error) {
    return { trouble: `cannot be read: ${reason(error)}` };
  }
}

function reason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'it is not UTF-8 text';
  return code ?? 'unknown reason';
}

class YamlSource implements Source {
  readonly problems: Problem[];
  readonly broken: boolean;
  readonly value: unknown;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  readonly #substituted = new Set<unknown>();

  constructor(readonly file: string, text: string, env: NodeJS.ProcessEnv | undefined, problems: Problem[]) {
    this.problems = problems;
    // `silent` would also keep a second document secret, and what stands in it.
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, logLevel: 'error', version: '1.2' });
    // yaml's own texts may quote the file, and what it quotes may be a secret.
    let broken = problems.length > 0;
    visit(this.#document, {
      Pair: (_key, { key }) => {
        if (key === null || isScalar(key) || isAlias(key)) return;
        broken = true;
        problems.push({ file, ...this.#at((key as Node).range?.[0] ?? 0), key: '', message: 'a mapping or list cannot be a key; put quotes around a text that begins with { or [', severity: 'error' });
      },
    });
    for (const { code, pos } of [...this.#document.errors, ...this.#document.warnings]) {
      // A key given twice leaves the rest readable, so the rest is looked at too.
      const key = code === 'DUPLICATE_KEY' ? this.#keyAt(pos[0]) : '';
      broken ||= code !== 'DUPLICATE_KEY';
      problems.push({ file, ...this.#at(pos[0]), key, message: SYNTAX[code] ?? 'not valid YAML', severity: 'error' });
    }
    if (!broken && env !== undefined) this.#substitute(env);
    let value: unknown;
    try {
      value = broken ? undefined : this.#document.toJS();
    } catch {
      broken = true;
      problems.push({ file, line: 1, column: 1, key: '', message: 'an alias (*name) has no anchor, or there are too many of them', severity: 'error' });
    }
    this.broken = broken;
    this.value = value ?? undefined;
  }

  position(path: Path): { line: number; column: number } {
    return this.#at(this.#walk(path).offset);
  }

  keyPosition(path: Path): { line: number; column: number } {
    const walked = this.#walk(path);
    return this.#at(walked.keyOffset ?? walked.offset);
  }

  hasValue(path: Path): boolean {
    const { node, keyOffset, complete } = this.#walk(path);
    return complete && node?.range?.[0] !== keyOffset && !(isScalar(node) && node.value === null);
  }

  fromEnvironment(path: Path): boolean {
    const { node, complete } = this.#walk(path);
    if (node === undefined || !complete) return false;
    let found = false;
    visit(node, { Scalar: (_key, scalar) => { found ||= this.#substituted.has(scalar); } });
    return found || (isAlias(node) && this.#substituted.has(node.resolve(this.#document)));
  }

  #substitute(env: NodeJS.ProcessEnv): void {
    visit(this.#document, {
      Scalar: (key, scalar, ancestors) => {
        if (key === 'key' || typeof scalar.value !== 'string' || !scalar.value.includes('$')) return;
        const result = substitute(scalar.value, env);
        scalar.value = result.text;
        if (result.names.length > 0) this.#substituted.add(scalar);
        for (const message of result.mistakes) {
          const at = this.#at(scalar.range?.[0] ?? 0);
          this.problems.push({ file: this.file, ...at, key: keyOf(pathOf(ancestors, scalar)), message, severity: 'error' });
        }
      },
    });
  }

  #keyAt(offset: number): string {
    let found = '';
    visit(this.#document, {
      Pair: (_key, pair, ancestors) => {
        if ((pair.key as Node | null)?.range?.[0] !== offset) return;
        const empty = pair.value === null || (isScalar(pair.value) && pair.value.value === null);
        found = keyOf([...pathOf(ancestors, pair), empty ? HIDDEN : nameOf(pair)]);
      },
    });
    return found;
  }

  #walk(path: Path): { node?: Node; offset: number; keyOffset?: number; complete: boolean } {
    let node = this.#document.contents as Node | null;
    let offset = node?.range?.[0] ?? 0;
    let keyOffset: number | undefined;
    for (const step of path) {
      const target = isAlias(node) ? node.resolve(this.#document) : node;
      const pair = isMap(target) ? target.items.find((item) => nameOf(item as Pair) === String(step)) : undefined;
      const key = pair?.key as Node | undefined;
      const next = isSeq(target) ? target.items[Number(step)] : pair?.value ?? key;
      if (next === undefined || next === null) return { offset, keyOffset, complete: false };
      node = next as Node;
      offset = node.range?.[0] ?? offset;
      keyOffset = key?.range?.[0];
    }
    return { node: node ?? undefined, offset, keyOffset, complete: true };
  }

  #at(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }
}

function nameOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

/** The path of a node, from the ancestors that `visit` tells: the document, then collections and pairs. */
function pathOf(ancestors: readonly unknown[], node: unknown): PropertyKey[] {
  const path: PropertyKey[] = [];
  ancestors.forEach((ancestor, depth) => {
    if (isSeq(ancestor)) path.push(ancestor.items.indexOf(ancestors[depth + 1] ?? node));
    else if (isPair(ancestor)) path.push(nameOf(ancestor));
  });
  return path;
}

const SYNTAX: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: 'an alias (*name) is malformed or its anchor does not come before it; put quotes around a text that begins with *',
  BAD_DQ_ESCAPE: 'a \\ in double quotes is not followed by an escape that YAML has',
  BAD_INDENT: 'the indentation does not fit the lines above',
  BAD_SCALAR_START: 'a text may not begin with this character without quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a mapping or list may not begin here; check the indentation and the colons above',
  BLOCK_IN_FLOW: 'inside { } and [ ] entries are separated by commas',
  DUPLICATE_KEY: 'this key is given twice',
  MISSING_CHAR: 'a character is missing here: a colon, comma, quote, bracket or space',
  MULTILINE_IMPLICIT_KEY: 'a key must be on one line; is a colon missing?',
  MULTIPLE_DOCS: 'a second document (---) begins here; the file may hold only one',
  TAB_AS_INDENT: 'tabs may not be used as indentation',
  TAG_RESOLVE_FAILED: 'tags (!name) are not used here; put quotes around a text that begins with !',
  UNEXPECTED_TOKEN: 'this is not expected here; check quotes, brackets and indentation',
};
