import { expect, it } from 'vitest';
import { pinOf } from '../../../proxy/clients/pin.js';

const read = (bytes: number): Buffer => Buffer.allocUnsafeSlow(bytes);

it('requests of one small read share a pin, which counts all of it', () => {
  const buffer = read(3_000);
  const pin = pinOf(buffer, 170);
  expect(pin).toMatchObject({ bytes: 3_000, users: 0 });
  expect(pinOf(buffer, 200)).toBe(pin);
  expect(pinOf(read(3_000), 170)).not.toBe(pin);
});

it('a small request is copied out of a large read', () => {
  expect(pinOf(read(64_000), 170)).toBeUndefined();
});

it('a small request is copied out of a large read that its own view does not show', () => {
  expect(pinOf(read(64_000).subarray(100, 270), 170)).toBeUndefined();
});

it('a request that is most of its read is kept where it is', () => {
  expect(pinOf(read(64_000), 40_000)).toMatchObject({ bytes: 64_000 });
});
