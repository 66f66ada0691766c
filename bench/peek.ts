/**
 * What it costs to look at a message, against `JSON.parse` of the same bytes in the same run.
 *
 *   npm run bench:peek
 *
 * For each message: the median over rounds, in ns a message and MB of message a second. The peek is
 * measured with what follows it on the hot path, a look-up of the session and of the event type.
 */
import { randomUUID } from 'node:crypto';
import { frameOf, type Frame } from '../proxy/wire/frame.js';
import { peek } from '../proxy/wire/peek.js';
import { scan } from '../proxy/wire/scan.js';

const ROUNDS = 15;
const MESSAGES = 2000;
const SESSIONS = 500;
const TYPES = ['assistant.message_delta', 'assistant.streaming_delta', 'session.usage_info', 'assistant.message'];

const sessions: string[] = Array.from({ length: SESSIONS }, () => randomUUID());
const bySession = new Map<string, number>(sessions.map((id, index) => [id, index]));
const byType = new Map(TYPES.map((type, index) => [type, index]));

/** Filled to about `size` bytes with text such as a model streams. */
function event(index: number, size: number, order: 'runtime' | 'other'): string {
  const sessionId = sessions[index % SESSIONS]!;
  const type = TYPES[index % TYPES.length]!;
  const data = { messageId: randomUUID(), deltaContent: '' };
  const rest = { id: randomUUID(), timestamp: '2026-01-01T00:00:00.000Z', parentId: null };
  const make = (): string =>
    JSON.stringify(
      order === 'runtime'
        ? { jsonrpc: '2.0', method: 'session.event', params: { sessionId, event: { type, data, ...rest } } }
        : { params: { event: { data, type, ...rest }, sessionId }, method: 'session.event', jsonrpc: '2.0' },
    );
  const words = 'the quick brown fox \\ "jumps"\nover ';
  data.deltaContent = words.repeat(size).slice(0, Math.max(0, Math.floor((size - make().length) * 0.87)));
  return make();
}

function request(index: number, size: number): string {
  const params = { sessionId: sessions[index % SESSIONS], mode: 'enqueue', prompt: '' };
  params.prompt = 'the quick brown fox jumps over the lazy dog. '.repeat(size).slice(0, size - 130);
  return JSON.stringify({ jsonrpc: '2.0', id: index, method: 'session.send', params });
}

let sink = 0;

function peekAll(frames: readonly Frame[]): void {
  for (const { buffer, body, end } of frames) {
    const { sessionId, eventType } = peek(buffer, body, end);
    sink += (bySession.get(sessionId ?? '') ?? 0) + (byType.get(eventType ?? '') ?? 0);
  }
}

function scanAll(frames: readonly Frame[]): void {
  for (const { buffer, body, end } of frames) sink += 'reason' in scan(buffer, body, end) ? 1 : 0;
}

function parseAll(frames: readonly Frame[]): void {
  for (const { buffer, body, end } of frames) {
    const { params } = JSON.parse(buffer.toString('utf8', body, end)) as {
      params: { sessionId: string; event?: { type: string } };
    };
    sink += (bySession.get(params.sessionId) ?? 0) + (byType.get(params.event?.type ?? '') ?? 0);
  }
}

function nanoseconds(work: (frames: readonly Frame[]) => void, frames: readonly Frame[]): number {
  const began = process.hrtime.bigint();
  work(frames);
  return Number(process.hrtime.bigint() - began) / frames.length;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

function report(name: string, look: (frames: readonly Frame[]) => void, frames: readonly Frame[]): void {
  const bytes = frames.reduce((sum, frame) => sum + frame.end - frame.body, 0) / frames.length;
  const looks: number[] = [];
  const parses: number[] = [];
  for (let warm = 0; warm < 3; warm++) look(frames);
  for (let round = 0; round < ROUNDS; round++) {
    looks.push(nanoseconds(look, frames));
    parses.push(nanoseconds(parseAll, frames));
  }
  const cost = (ns: number): string => `${ns.toFixed(0).padStart(7)} ns ${((bytes * 1e3) / ns).toFixed(0).padStart(7)} MB/s`;
  const [own, parse] = [median(looks), median(parses)];
  console.log(`${name.padEnd(34)} ${bytes.toFixed(0).padStart(6)} B ${cost(own)}   JSON.parse ${cost(parse)}   ${(parse / own).toFixed(1)}x`);
}

const frames = (make: (index: number) => string): Frame[] => Array.from({ length: MESSAGES }, (_, index) => frameOf(make(index)));

report('peek, event as the runtime sends', peekAll, frames((i) => event(i, 300, 'runtime')));
report('peek, event as the runtime sends', peekAll, frames((i) => event(i, 8192, 'runtime')));
report('peek, event in another key order', peekAll, frames((i) => event(i, 300, 'other')));
report('peek, event in another key order', peekAll, frames((i) => event(i, 8192, 'other')));
report('scan, session.send', scanAll, frames((i) => request(i, 300)));
report('scan, session.send', scanAll, frames((i) => request(i, 8192)));
report('scan, event (escapes)', scanAll, frames((i) => event(i, 8192, 'runtime')));
if (sink < 0) console.log(sink);
