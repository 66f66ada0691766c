import { expect, test } from 'vitest';
import { Channel, channels } from '../../../proxy/channels.js';

test('a subscriber gets the very payload that was published, at once', () => {
  const channel = new Channel<{ n: number }>('test.payload');
  const seen: object[] = [];
  const payload = { n: 1 };
  channel.subscribe((message) => seen.push(message));
  channel.publish(payload);
  expect(seen[0]).toBe(payload);
});

test('a subscriber that unsubscribed is not told any more, others are', () => {
  const channel = new Channel<{ n: number }>('test.unsubscribe');
  const seen: string[] = [];
  const first = () => { seen.push('first'); };
  channel.subscribe(first);
  channel.subscribe(() => { seen.push('second'); });
  channel.unsubscribe(first);
  channel.publish({ n: 1 });
  expect(seen).toEqual(['second']);
});

test('a channel is active only while somebody listens', () => {
  const channel = new Channel<{ n: number }>('test.active');
  const listener = () => {};
  expect(channel.active).toBe(false);
  channel.subscribe(listener);
  expect(channel.active).toBe(true);
  channel.unsubscribe(listener);
  expect(channel.active).toBe(false);
});

test('two wrappers of one name are one channel', () => {
  const seen: object[] = [];
  new Channel<{ n: number }>('test.same').subscribe((message) => seen.push(message));
  new Channel<{ n: number }>('test.same').publish({ n: 2 });
  expect(seen).toEqual([{ n: 2 }]);
});

test('every channel has a name of its own', () => {
  const names = Object.values(channels).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.every((name) => name.startsWith('skyport:'))).toBe(true);
});
