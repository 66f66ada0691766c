/**
 * What answer a message must get, read with JSON.parse and a tokenizer of its own: the oracle of the
 * hostile frames, written apart from proxy/wire so that neither can hide a mistake of the other.
 */
import { isUtf8 } from 'node:buffer';

/**
 * `id`: exactly one answer with this id. `null`: one with `id: null`. `perhaps`: one with `id: null` or
 * none, for what has no id to answer (notifications) and what is itself an answer.
 */
export type Expected = { readonly kind: 'id'; readonly id: string } | { readonly kind: 'null' | 'perhaps' };

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g;

/** @param body one message, without its header */
export function expectedAnswer(body: Buffer): Expected {
  if (!isUtf8(body)) return { kind: 'null' };
  const text = body.toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return { kind: 'null' };
  } catch {
    return { kind: 'null' };
  }
  const members = topMembers(text);
  const ids = members.filter(({ key }) => key === 'id');
  const keys = new Set(members.map(({ key }) => key));
  if (!keys.has('method') && (keys.has('result') || keys.has('error'))) return { kind: 'perhaps' };
  if (ids.length === 0) return keys.has('method') ? { kind: 'perhaps' } : { kind: 'null' };
  const id = ids.length === 1 ? normalId(ids[0]!.token) : undefined;
  return id === undefined ? { kind: 'null' } : { kind: 'id', id };
}

/** The id of an answer, normalised; undefined when the text is no answer. A rewritten id may leave blanks behind it. */
export function answeredId(text: string): string | undefined {
  const token = /^\{"jsonrpc":"2\.0","id":("(?:[^"\\]|\\.)*"|-?\d+|null)\s*,"(?:result|error)":/.exec(text)?.[1];
  return token === undefined || token === 'null' ? token : normalId(token);
}

/** A string or a 64-bit integer, in one spelling; undefined for anything else, which is no id. */
function normalId(token: string): string | undefined {
  if (token.startsWith('"')) return Buffer.byteLength(token) - 2 <= 256 ? JSON.stringify(JSON.parse(token)) : undefined;
  if (!/^-?\d{1,19}$/.test(token) || token === '-0') return undefined;
  const value = BigInt(token);
  return value >= -(2n ** 63n) && value < 2n ** 63n ? token : undefined;
}

/** The members of the outermost object, in order, also those that are given twice. */
function topMembers(text: string): { key: string; token: string }[] {
  const members: { key: string; token: string }[] = [];
  let depth = 0;
  let before = '';
  let key: string | undefined;
  for (const [token] of text.matchAll(TOKEN)) {
    if (depth === 1 && token === ':') key = JSON.parse(before) as string;
    else if (depth === 1 && before === ':') members.push({ key: key!, token });
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    before = token;
  }
  return members;
}
