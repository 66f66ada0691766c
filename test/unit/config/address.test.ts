import { describe, expect, test } from 'vitest';
import { collide, isLoopback, parseAddress, parseBackendUrl, type Address } from '../../../config/address.js';

describe('an address to listen on', () => {
  test.each([
    ['127.0.0.1:4321', { host: '127.0.0.1', port: 4321 }],
    ['[::1]:4321', { host: '::1', port: 4321 }],
    ['[::]:0', { host: '::', port: 0 }],
    ['localhost:65535', { host: 'localhost', port: 65_535 }],
    ['cli-1.internal:80', { host: 'cli-1.internal', port: 80 }],
  ])('%s is read', (text, address) => expect(parseAddress(text)).toEqual(address));

  test.each(['', '4321', ':4321', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', '127.0.0.1:-1', '::1:4321', '[::1]', '[127.0.0.1]:1',
    '[zz::]:1', '256.0.0.1:1', 'a b:1', 'a/b:1', 'user@host:1', '-x:1', '127.0.0.1:4321 '])(
    '%j is refused', (text) => expect(parseAddress(text)).toBeUndefined());
});

describe('the URL of a backend', () => {
  test('is tcp:// and an address', () => {
    expect(parseBackendUrl('tcp://[fd00::5]:4321')).toEqual({ host: 'fd00::5', port: 4321 });
  });

  test.each(['10.0.0.5:4321', 'http://10.0.0.5:4321', 'tcp://10.0.0.5', 'tcp://10.0.0.5:0', 'tcp://u:p@10.0.0.5:1', 'tcp://h:1/', 'TCP://h:1'])(
    '%s is refused', (url) => expect(parseBackendUrl(url)).toBeUndefined());
});

describe('two addresses collide', () => {
  const at = (text: string) => parseAddress(text) as Address;
  test.each([
    ['127.0.0.1:1', '127.0.0.1:1', true],
    ['127.0.0.1:1', '127.0.0.1:2', false],
    ['127.0.0.1:1', '127.0.0.2:1', false],
    ['localhost:1', '127.0.0.1:1', true],
    ['0.0.0.0:1', '10.0.0.1:1', true],
    ['0.0.0.0:1', '[::1]:1', false],
    ['[::]:1', '127.0.0.1:1', true],
    ['127.0.0.1:0', '127.0.0.1:0', false],
  ])('%s and %s: %s', (a, b, expected) => {
    expect(collide(at(a), at(b))).toBe(expected);
    expect(collide(at(b), at(a))).toBe(expected);
  });
});

test('only loopback addresses count as reachable from this machine alone', () => {
  expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].map(isLoopback)).toEqual([true, true, true, true]);
  expect(['0.0.0.0', '::', '10.0.0.1', 'example.com'].map(isLoopback)).toEqual([false, false, false, false]);
});
