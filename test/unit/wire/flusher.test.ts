import { expect, it } from 'vitest';
import { flushSoon } from '../../../proxy/wire/flusher.js';

it('everything listed in a turn is flushed after it, in order and once; what is listed by a flush, in the next turn', async () => {
  const flushed: string[] = [];
  const again = { flush: () => flushed.push('again') };
  const a = { flush: () => (flushed.push('a'), flushSoon(again)) };
  const b = { flush: () => flushed.push('b') };
  flushSoon(a);
  flushSoon(b);
  await Promise.resolve();
  expect(flushed).toEqual([]);
  await new Promise(setImmediate);
  expect(flushed).toEqual(['a', 'b']);
  await new Promise(setImmediate);
  expect(flushed).toEqual(['a', 'b', 'again']);
  await new Promise(setImmediate);
  expect(flushed.length).toBe(3);
});
