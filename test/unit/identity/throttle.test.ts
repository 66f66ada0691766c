import { describe, expect, test } from 'vitest';
import { LoginThrottle } from '../../../proxy/identity/throttle.js';

const fails = (throttle: LoginThrottle, remote: string, times: number, now = 0) =>
  Array.from({ length: times }, () => throttle.failure(remote, now, { failures: 0 }).delayMs);

test('each failure doubles the delay, from 200 ms up to 5 s', () => {
  expect(fails(new LoginThrottle(), '10.0.0.1', 8)).toEqual([200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
});

test('addresses are slowed down each on its own', () => {
  const throttle = new LoginThrottle();
  fails(throttle, '10.0.0.1', 5);
  expect(fails(throttle, '10.0.0.2', 1)).toEqual([200]);
});

test('the third failure of a connection cuts it', () => {
  const throttle = new LoginThrottle();
  const connection = { failures: 0 };
  expect([1, 2, 3].map(() => throttle.failure('10.0.0.1', 0, connection).cut)).toEqual([false, false, true]);
});

test('the failures of other connections do not cut one', () => {
  const throttle = new LoginThrottle();
  fails(throttle, '10.0.0.1', 10);
  expect(throttle.failure('10.0.0.1', 0, { failures: 0 }).cut).toBe(false);
});

test('a good token clears the address', () => {
  const throttle = new LoginThrottle();
  fails(throttle, '10.0.0.1', 5);
  throttle.success('10.0.0.1');
  expect(fails(throttle, '10.0.0.1', 1)).toEqual([200]);
});

describe('failures are forgotten', () => {
  test('one for every 30 s without another', () => {
    const throttle = new LoginThrottle();
    fails(throttle, '10.0.0.1', 4, 0);
    expect(fails(throttle, '10.0.0.1', 1, 60_000)).toEqual([800]);
  });

  test('by the sweep, once all of them are', () => {
    const throttle = new LoginThrottle();
    fails(throttle, '10.0.0.1', 1, 0);
    fails(throttle, '10.0.0.2', 2, 0);
    throttle.sweep(29_999);
    expect(throttle.size).toBe(2);
    throttle.sweep(30_000);
    expect(throttle.size).toBe(1);
    throttle.sweep(60_000);
    expect(throttle.size).toBe(0);
  });

  test('in five minutes, however many there were', () => {
    const throttle = new LoginThrottle();
    fails(throttle, '10.0.0.1', 1_000, 0);
    throttle.sweep(300_000);
    expect(throttle.size).toBe(0);
  });
});

test('of more than 10000 addresses the one that failed longest ago is forgotten', () => {
  const throttle = new LoginThrottle();
  for (let i = 0; i < 10_000; i++) fails(throttle, `10.0.${i >> 8}.${i & 255}`, 1, i);
  fails(throttle, '10.0.0.0', 1, 10_000);
  fails(throttle, '10.1.0.0', 1, 10_001);
  expect(throttle.size).toBe(10_000);
  expect(fails(throttle, '10.0.0.0', 1, 10_001)).toEqual([800]);
  expect(fails(throttle, '10.0.0.1', 1, 10_001)).toEqual([200]);
});

describe('addresses of one attacker are one', () => {
  test.each([
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
    ['2001:DB8::1', '2001:0db8:0:0:1::2'],
    ['fe80::1%eth0', 'fe80::2'],
    ['10.0.0.1:4000', '10.0.0.1:5000'],
    ['[2001:db8:1:2::1]:4000', '[2001:db8:1:2::2]:5000'],
  ])('%s and %s', (a, b) => {
    const throttle = new LoginThrottle();
    fails(throttle, a, 1);
    expect(fails(throttle, b, 1)).toEqual([400]);
  });

  test.each([['2001:db8:1:2::1', '2001:db8:1:3::1'], ['::1', '1::'], ['::ffff:10.0.0.1', '::ffff:10.0.0.2']])('%s and %s are two', (a, b) => {
    const throttle = new LoginThrottle();
    fails(throttle, a, 1);
    expect(fails(throttle, b, 1)).toEqual([200]);
  });
});
