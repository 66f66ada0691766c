/**
 * Messages of somebody who means harm, the same for the same seed: foreign session ids in every
 * place where one travels, keys twice and in other spellings, ids that are none or are taken, half
 * surrogates, depth, batches, answers that nobody asked for, and mutations of all of these.
 */
import { METHODS, type MethodSpec } from '../../proxy/protocol/catalogue.js';
import { Members, mutate, spell, type Json } from '../fuzz/wire-messages.js';

/** Session ids that play in the attack. */
export interface Cast {
  readonly own: readonly string[];
  /** Somebody else's, which the attacker has learned. */
  readonly foreign: readonly string[];
}

export interface Site {
  readonly spec: MethodSpec;
  /** As in `Carrier`. */
  readonly path: string;
}

/** Every place in every method where a session id may travel. */
export const SITES: readonly Site[] = METHODS.flatMap((spec) => ['sessionId', ...spec.carriers.map(({ path }) => path)].map((path) => ({ spec, path })));

const JUNK: readonly Json[] = [
  null, true, false, 0, -1, 1.5, 1e308, '', 'x', '\u2028', '__proto__', '../../etc/passwd', '{"a":1}', [], [[]], [null, 1, 'x'], new Members([]),
  new Members([['__proto__', new Members([['sessionId', 'x']])]]), new Members([['a', new Members([['b', [1, 2, 3]]])]]),
];

/** Tokens in the place of an id: the edges of what is one, and what is none. */
const ODD_IDS = [
  '9223372036854775807', '-9223372036854775808', '9223372036854775808', '-9223372036854775809', '1e3', '1.0', '-0', '1e400', '00', 'null', 'true', '[]', '{}', '""',
  `"${'x'.repeat(256)}"`, `"${'x'.repeat(257)}"`, '"\\u0061"', '"a"', '"\\ud800"', '"\\ud83d\\ude00"', '"null"', '1000000000', '9999999999', '"1000000000"', '9'.repeat(400),
];

const SURROGATES = ['\\ud800', '\\udfff', '\\ud83d\\ud83d', '\\udc00\\ud800', '\\ud83d', 'x\\udbff'];

export class HostileFrames {
  private count = 0;
  private site: number;
  private readonly kinds: readonly (() => string)[] = [
    () => this.foreign(), () => this.foreign(), () => this.foreign(), () => this.own(), () => this.own(), () => this.own(),
    () => this.twice(), () => this.oddId(), () => this.deep(), () => this.surrogate(), () => this.notification(), () => this.answer(),
    () => this.batch(), () => this.cancel(), () => this.large(), () => this.renamed(),
  ];

  /** @param random numbers in [0, 1) */
  constructor(private readonly random: () => number, private readonly cast: Cast) {
    this.site = this.below(SITES.length);
  }

  /** The next message, without a header. */
  next(): Buffer {
    const body = Buffer.from(this.pick(this.kinds)(), 'utf8');
    return this.random() < 0.3 ? mutate(body, this.random) : body;
  }

  /** A number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** A call on somebody else's session, in one place or another. */
  private foreign(): string {
    this.site = (this.site + 1) % SITES.length;
    const { spec, path } = SITES[this.site]!;
    const params: [string, Json][] = path === 'sessionId' || this.random() < 0.3 ? [] : [['sessionId', this.pick(this.cast.own)]];
    params.push(...this.junkFor(spec, path));
    place(params, path, this.pick(this.cast.foreign));
    return this.request(spec.name, params);
  }

  /** A call on a session of the attacker's own, with parameters of the wrong types. */
  private own(): string {
    const life = ['session.create', 'session.resume', 'session.send', 'session.send', 'session.log', 'session.detach', 'session.delete', 'session.name.set'];
    const name = this.random() < 0.5 ? this.pick(life) : this.pick(METHODS).name;
    const spec = METHODS.find((one) => one.name === name)!;
    const sessionId = this.random() < 0.9 ? this.pick(this.cast.own) : this.pick(JUNK);
    return this.request(name, [['sessionId', sessionId], ...(this.random() < 0.5 ? [] : this.junkFor(spec, 'sessionId'))]);
  }

  /** A key given twice: own before foreign or after it, the second in any spelling. */
  private twice(): string {
    const [own, foreign] = [this.pick(this.cast.own), this.pick(this.cast.foreign)];
    const method = this.pick(['session.send', 'session.abort', 'session.getMessages', 'session.delete', 'session.resume']);
    const params = [['sessionId', own], ['prompt', 'x'], ['sessionId', foreign]] as [string, Json][];
    if (this.random() < 0.5) return this.compose([['id', this.id()], ['method', this.text(method)], ['params', this.object(params)]]);
    const [first, second] = [this.object([['sessionId', own]]), this.object([['sessionId', foreign]])];
    const again = this.pick<[string, string]>([['params', second], ['method', this.text('session.delete')], ['id', this.id()], ['jsonrpc', '"2.0"']]);
    return this.compose([['id', this.id()], ['method', this.text(method)], ['params', first], again]);
  }

  private oddId(): string {
    return this.compose([['id', this.pick(ODD_IDS)], ['method', this.text(this.pick(['ping', 'session.send', 'session.list']))], ['params', this.object([['sessionId', this.pick(this.cast.own)]])]]);
  }

  private deep(): string {
    const levels = this.pick([50, 127, 128, 129, 5_000]);
    const value = this.random() < 0.5 ? '['.repeat(levels) + ']'.repeat(levels) : '{"a":'.repeat(levels) + '1' + '}'.repeat(levels);
    return this.compose([['id', this.id()], ['method', '"session.send"'], ['params', `{"sessionId":"${this.pick(this.cast.foreign)}","attachments":${value}}`]]);
  }

  private surrogate(): string {
    const half = this.pick(SURROGATES);
    const params = this.pick([`{"sessionId":"${half}"}`, `{"sessionId":"${this.pick(this.cast.foreign)}","${half}":1}`, `{"sessionId":"${this.pick(this.cast.own)}","prompt":"${half}"}`]);
    return this.compose([['id', this.id()], ['method', '"session.send"'], ['params', params]]);
  }

  private notification(): string {
    const { spec, path } = this.pick(SITES);
    const params: [string, Json][] = [];
    place(params, path, this.pick(this.cast.foreign));
    return this.compose([['method', this.text(this.pick([spec.name, 'session.event', 'session.lifecycle', 'exit']))], ['params', this.object(params)]]);
  }

  /** An answer to what a server may have asked somebody else. */
  private answer(): string {
    const id = this.pick([String(1 + this.below(60)), `"${this.below(60)}"`, this.pick(ODD_IDS)]);
    return this.compose([['id', id], this.random() < 0.7 ? ['result', '{"mallory":true}'] : ['error', '{"code":1,"message":"mallory"}']]);
  }

  private batch(): string {
    return `[${Array.from({ length: this.below(4) }, () => this.foreign()).join(',')}]`;
  }

  private cancel(): string {
    const id = this.random() < 0.5 ? String(this.count - this.below(20)) : this.pick(ODD_IDS);
    return this.compose([['method', '"$/cancelRequest"'], ['params', `{"id":${id}}`]]);
  }

  private large(): string {
    const filler = 'x'.repeat(this.below(this.random() < 0.1 ? 60_000 : 3_000));
    return this.request('session.log', [['sessionId', this.pick(this.random() < 0.5 ? this.cast.own : this.cast.foreign)], ['message', filler]]);
  }

  /** A key or a method that looks like one that means something. */
  private renamed(): string {
    const key = this.pick(['sessionid', 'SessionId', 'session_id', 'sessionId ', 'sessionId\0', 'ｓessionId']);
    const method = this.pick(['session.send', 'Session.send', 'session.send ', 'session.send\0', 'session..send', '', 'rpc.discover', 'x'.repeat(129)]);
    return this.request(method, [[key, this.pick(this.cast.own)]]);
  }

  private junkFor(spec: MethodSpec, but: string): [string, Json][] {
    const names = [...spec.params].filter((name) => name !== 'sessionId' && !but.startsWith(name));
    return Array.from({ length: Math.min(names.length, this.below(3)) }, (_, index) => [names[index]!, this.pick(JUNK)]);
  }

  private request(method: string, params: [string, Json][]): string {
    return this.compose([['id', this.id()], ['method', this.text(method)], ['params', this.object(params)]]);
  }

  /** Mostly one that is new to the connection; else one that may still be waiting for its answer. */
  private id(): string {
    const id = this.random() < 0.9 ? ++this.count : this.count - this.below(5);
    return this.count % 7 === 0 ? `"request ${id}"` : String(id);
  }

  private compose(members: [string, string][]): string {
    const all: [string, string][] = [['jsonrpc', '"2.0"'], ...members];
    if (this.random() < 0.5) all.sort(() => this.random() - 0.5);
    return `{${all.map(([key, value]) => `${this.text(key)}:${value}`).join(',')}}`;
  }

  private text(text: string): string {
    return spell(text, this.random, this.random() < 0.7 ? 1 : 0.8).trim();
  }

  private object(entries: [string, Json][]): string {
    return spell(new Members(entries), this.random, this.random() < 0.7 ? 1 : 0.9);
  }
}

/** The parameters, as JSON text, of a call that names a session at this place. */
export function paramsNaming(path: string, id: string, own: string): string {
  const params: [string, Json][] = path === 'sessionId' ? [] : [['sessionId', own]];
  place(params, path, id);
  return spell(new Members(params), () => 0, 1);
}

/** Puts a value at a carrier's path: `a`, `a.b`, `a[]` or `a[].b`. */
function place(params: [string, Json][], path: string, id: string): void {
  const [name = '', field] = path.split('.');
  const value: Json = field === undefined ? id : new Members([[field, id]]);
  params.push(name.endsWith('[]') ? [name.slice(0, -2), [value]] : [name, value]);
}
