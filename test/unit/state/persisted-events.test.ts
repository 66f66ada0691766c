/** Pages as runtime 1.0.85 gives them for the same file (measured). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PersistedEvents, type Page } from '../../../proxy/state/persisted-events.js';
import { events, Kept, said, START } from './kept.js';

let kept: Kept;
let now: number;
let persisted: PersistedEvents;

beforeEach(() => {
  kept = new Kept();
  now = 0;
  persisted = new PersistedEvents(kept.files, () => now);
});

afterEach(() => kept.end());

const FIVE = events(START, said('e2', 'a'), said('e3', 'b'), said('e4', 'c'), said('e5', 'd'));

async function page(params: Record<string, unknown> = {}, sessionId = 's'): Promise<Page> {
  return (await persisted.read('alice', sessionId, params)) as Page;
}

function ids({ events: list }: Page): unknown[] {
  return list.map(({ id }) => id);
}

describe('the first page', () => {
  it('has the events as they are stored, and a cursor though there is no more', async () => {
    await kept.put('s', { 'events.jsonl': FIVE });
    const found = await page();
    expect(found).toEqual({ events: FIVE.trim().split('\n').map((line) => JSON.parse(line) as object), cursor: found.cursor, hasMore: false, cursorStatus: 'ok' });
    expect(found.cursor).toMatch(/^persisted-snapshot:v1:[0-9a-f-]{36}$/);
  });

  it.each([[0, 1], [2, 2], [-1, 5], [100_000, 5]])('with max %i has %i events', async (max, count) => {
    await kept.put('s', { 'events.jsonl': FIVE });
    expect((await page({ max })).events.length).toBe(count);
  });

  it('has 200 events unless a number is given, and never more than 1000', async () => {
    await kept.put('s', { 'events.jsonl': events(...Array.from({ length: 1200 }, (_, n) => said(`e${n}`, 'x'))) });
    expect([(await page()).events.length, (await page({ max: 5000 })).events.length]).toEqual([200, 1000]);
  });

  it('has about a mebibyte, and a longer event alone', async () => {
    const long = 'x'.repeat(400 * 1024);
    await kept.put('s', { 'events.jsonl': events(said('a', long), said('b', long), said('c', long), said('d', long.repeat(4)), said('e', 'x')) });
    const first = await page();
    const second = await page({ cursor: first.cursor });
    const third = await page({ cursor: second.cursor });
    expect([ids(first), ids(second), ids(third), (await page({ cursor: third.cursor })).events.length]).toEqual([['a', 'b'], ['c'], ['d'], 1]);
  });

  it('leaves out a line that was cut off, blank lines, what is no event, and what is hidden', async () => {
    await kept.put('s', { 'events.jsonl': `${events(START)}\n5\n{"a":1}\n${events(said('e2', 'a'), said('e3', 'b'))}{"type":"us` });
    const found = (await persisted.read('alice', 's', {}, (id) => id === 'e2')) as Page;
    expect(ids(found)).toEqual(['e1', 'e3']);
  });

  it('has the bytes of an asset in the place of its id', async () => {
    const asset = { type: 'session.binary_asset', data: { assetId: 'sha256:1', mimeType: 'image/png', byteLength: 3, data: 'AAAA' }, id: 'b' };
    const attachment = { type: 'blob', displayName: 'x.png', mimeType: 'image/png', assetId: 'sha256:1', byteLength: 3 };
    const message = { type: 'user.message', data: { content: 'see', attachments: [attachment] }, id: 'm' };
    await kept.put('s', { 'events.jsonl': events(asset, message) });
    expect((await page()).events).toEqual([
      { type: 'user.message', data: { content: 'see', attachments: [{ type: 'blob', displayName: 'x.png', mimeType: 'image/png', data: 'AAAA' }] }, id: 'm' },
    ]);
  });
});

describe('a cursor', () => {
  beforeEach(() => kept.put('s', { 'events.jsonl': FIVE }));

  it('leads forward page by page, and is expired after the last', async () => {
    const first = await page({ max: 2 });
    const second = await page({ max: 2, cursor: first.cursor });
    const third = await page({ max: 2, cursor: second.cursor });
    expect([ids(first), ids(second), ids(third), third.hasMore]).toEqual([['e1', 'e2'], ['e3', 'e4'], ['e5'], false]);
    expect(await page({ cursor: third.cursor })).toEqual({ events: [], cursor: third.cursor, hasMore: false, cursorStatus: 'expired' });
  });

  it('leads backward in the order that is stored, whatever direction later pages name', async () => {
    const first = await page({ max: 2, direction: 'backward' });
    const second = await page({ max: 2, direction: 'forward', cursor: first.cursor });
    expect([ids(first), ids(second), ids(await page({ max: 2, cursor: second.cursor }))]).toEqual([['e4', 'e5'], ['e2', 'e3'], ['e1']]);
  });

  it('is good for one page', async () => {
    const { cursor } = await page({ max: 2 });
    await page({ max: 2, cursor });
    expect((await page({ max: 2, cursor })).cursorStatus).toBe('expired');
  });

  it('stays on what was there at the first page', async () => {
    const { cursor } = await page({ max: 3 });
    await kept.put('s', { 'events.jsonl': events(START) });
    expect(ids(await page({ cursor }))).toEqual(['e4', 'e5']);
  });

  it('of another session is refused, and stays good for its own', async () => {
    const { cursor } = await page({ max: 3 });
    await kept.put('t', { 'events.jsonl': FIVE });
    expect(await page({ cursor }, 't')).toEqual({ fault: 'params', message: 'Persisted event cursor belongs to a different session' });
    expect(ids(await page({ cursor }))).toEqual(['e4', 'e5']);
  });

  it('expires after five idle minutes', async () => {
    const { cursor } = await page({ max: 3 });
    now = 5 * 60_000;
    expect((await page({ cursor })).cursorStatus).toBe('expired');
  });

  it('expires when its reader has begun eight others, and not by another reader\'s', async () => {
    const { cursor } = await page({ max: 1 });
    for (let n = 0; n < 9; n++) await persisted.read('bob', 's', { max: 1 });
    for (let n = 0; n < 7; n++) await page({ max: 1 });
    const next = await page({ max: 1, cursor });
    expect(next.cursorStatus).toBe('ok');
    for (let n = 0; n < 8; n++) await page({ max: 1 });
    expect((await page({ cursor: next.cursor })).cursorStatus).toBe('expired');
  });
});

describe('what is refused', () => {
  it('is a history that is not stored, with the words of the runtime', async () => {
    expect(await page({}, 'nobody')).toEqual({ fault: 'missing', message: 'Persisted event journal is unavailable for session nobody' });
  });

  it('is a history that cannot be read', async () => {
    await kept.put('s', { 'events.jsonl': `${events(START)}garbage\n${events(said('e2', 'a'))}` });
    expect(await page()).toMatchObject({ fault: 'damaged' });
  });

  it.each([[{ cursor: 5 }], [{ max: 'x' }], [{ max: 1.5 }], [{ direction: 'x' }]])('is %j', async (params) => {
    expect(await page(params)).toMatchObject({ fault: 'params' });
  });
});
