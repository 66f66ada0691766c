/** JSON-RPC messages in every spelling, for the property tests of `proxy/wire`. */
import fc from 'fast-check';

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** An object as its members: the order is kept, and a key may come twice. */
export class Members {
  constructor(readonly entries: [string, Json][]) {}
}
export type Json = string | number | boolean | null | Json[] | Members;

/**
 * Writes JSON with members in random order, random white space, and random characters of keys and
 * strings escaped. `plain` is the chance, from 0 to 1, that a gap stays empty or a character itself.
 */
export function spell(value: Json, random: () => number, plain: number): string {
  const gap = (): string => {
    let text = '';
    while (random() >= plain && text.length < 4) text += ' \t\r\n'[Math.floor(random() * 4)]!;
    return text;
  };
  const quote = (text: string): string => {
    let written = '"';
    for (const unit of text.split('')) {
      const code = unit.charCodeAt(0).toString(16).padStart(4, '0');
      const isHalf = unit >= '\ud800' && unit <= '\udfff';
      if (random() >= plain && !isHalf) written += `\\u${random() < 0.5 ? code : code.toUpperCase()}`;
      else if (unit === '/' && random() < 0.5) written += '\\/';
      else written += isHalf ? unit : JSON.stringify(unit).slice(1, -1);
    }
    return `${written}"`;
  };
  const write = (json: Json): string => {
    if (typeof json === 'string') return quote(json);
    if (Array.isArray(json)) return `[${gap()}${json.map((item) => write(item) + gap()).join(`,${gap()}`)}]`;
    if (!(json instanceof Members)) return JSON.stringify(json);
    const members = shuffled(json.entries, random).map(([key, item]) => `${quote(key)}${gap()}:${gap()}${write(item)}${gap()}`);
    return `{${gap()}${members.join(`,${gap()}`)}}`;
  };
  return gap() + write(value) + gap();
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  if (random() < 0.3) return [...items];
  return items.map((item) => ({ item, at: random() })).sort((a, b) => a.at - b.at).map(({ item }) => item);
}

export const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ maxLength: 70 }),
  fc.constantFrom('', '\\', '"', '\\"', '"sessionId":"x"', '{"id":1}', 'é', '😀', '\u2028', 'x'.repeat(100), '\\"'.repeat(40)),
);
/** Keys that mean something at one level, everywhere. */
export const key = fc.oneof(fc.constantFrom('sessionId', 'event', 'type', 'id', 'method', 'params', 'result', 'error', 'data', '__proto__', ''), text);

export const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    text as fc.Arbitrary<Json>,
    fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null)) as fc.Arbitrary<Json>,
    fc.array(tie('json'), { maxLength: 4 }),
    members(tie('json')),
  ),
}));

/** An object without equal keys, and with those given. */
export function members(value: fc.Arbitrary<Json>, fixed: Record<string, fc.Arbitrary<Json>> = {}, more = key): fc.Arbitrary<Json> {
  const given = Object.entries(fixed).map(([name, item]) => fc.option(item, { nil: undefined, freq: 8 }).map((v): [string, Json | undefined] => [name, v]));
  return fc.tuple(fc.tuple(...given), fc.uniqueArray(fc.tuple(more, value), { selector: ([name]) => name, maxLength: 4 })).map(
    ([own, others]) =>
      new Members([
        ...own.filter((entry): entry is [string, Json] => entry[1] !== undefined),
        ...others.filter(([name]) => !Object.hasOwn(fixed, name)),
      ]),
  );
}

export const id = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.string({ unit: 'binary', maxLength: 20 }));
export const sessionId = fc.oneof(fc.uuid(), fc.constantFrom('s1', 'é', 'a"b'), text);

export function objectOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
}

export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Changes some bytes: flips, deletes, repeats, inserts what parsers stumble over. */
export function mutate(bytes: Buffer, random: () => number): Buffer {
  let mutated = Buffer.from(bytes);
  for (let times = 1 + Math.floor(random() * 3); times > 0; times--) {
    const at = Math.floor(random() * (mutated.length + 1));
    const to = Math.min(mutated.length, at + Math.floor(random() * 12));
    const head = mutated.subarray(0, at);
    switch (Math.floor(random() * 6)) {
      case 0:
        if (at < mutated.length) mutated[at] = Math.floor(random() * 256);
        break;
      case 1:
        mutated = Buffer.concat([head, mutated.subarray(to)]);
        break;
      case 2:
        mutated = Buffer.concat([head, mutated.subarray(at, to), mutated.subarray(at)]);
        break;
      case 3:
        mutated = Buffer.concat([head]);
        break;
      default:
        mutated = Buffer.concat([head, HOSTILE[Math.floor(random() * HOSTILE.length)]!, mutated.subarray(random() < 0.5 ? at : to)]);
    }
  }
  return mutated;
}

const HOSTILE = [
  '"', '\\', '{', '}', '[', ']', ',', ':', '\\u', '\\ud800', '\\udc00', '\0', '\n', '\r\n', '\r\n\r\n', ' ', '-0', '1e999', '0x1', '01', '1.', 'null', 'true',
  '"id":1,', ',"id":2', '"i\\u0064":3,', '"params":{},', ',"method":"x"', '"sessionId":"evil",', '"session\\u0049d":"evil",', '"jsonrpc":"2.0",', '"result":1,', '\ufeff',
  'Content-Length: 3\r\n\r\n', 'Content-Length: 99999999999\r\n', 'content-length:0\r\n', 'A:1\r\n', '['.repeat(200), '{"a":'.repeat(130), '9'.repeat(400),
].map((part) => Buffer.from(part));
HOSTILE.push(Buffer.from([0xff]), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from([0xc0, 0xaf]));
