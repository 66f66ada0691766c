import { expect, test } from 'vitest';
import { Sampler } from '../../../../proxy/cli/top/rates.js';
import { sampleBackend, sampleSnapshot } from '../../observe/sample-snapshot.js';

const FIRST = sampleSnapshot({
  at: 10_000, process: { pid: 1, rss: 5, cpuMs: 1_000 }, turnsEnded: 40,
  frames: { clientIn: 0, clientOut: 100, backendIn: 0, backendOut: 0 }, bytes: { clientIn: 1_000, clientOut: 5_000, backendIn: 0, backendOut: 0 },
});
const SECOND = sampleSnapshot({
  at: 12_000, process: { pid: 1, rss: 5, cpuMs: 1_500 }, turnsEnded: 43,
  frames: { clientIn: 0, clientOut: 300, backendIn: 0, backendOut: 0 }, bytes: { clientIn: 3_000, clientOut: 5_000, backendIn: 0, backendOut: 0 },
});

test('one snapshot tells no rates', () => {
  expect(new Sampler().take(FIRST).rates).toEqual({});
});

test('two tell what happens per second', () => {
  const sampler = new Sampler();
  sampler.take(FIRST);
  expect(sampler.take(SECOND).rates).toEqual({ turns: 1.5, events: 100, bytesIn: 1_000, bytesOut: 0, cpu: 0.25 });
});

test('a Skyport that was started anew is not compared with the one before', () => {
  const sampler = new Sampler();
  sampler.take(FIRST);
  expect(sampler.take({ ...SECOND, startedAt: 1 }).rates).toEqual({});
});

test('what an older Skyport does not tell has no rate', () => {
  const sampler = new Sampler();
  sampler.take({ ...FIRST, turnsEnded: undefined, process: undefined });
  expect(sampler.take({ ...SECOND, turnsEnded: undefined, process: undefined }).rates).toEqual({ turns: undefined, events: 100, bytesIn: 1_000, bytesOut: 0, cpu: undefined });
});

/** The CPU share of the only server after each of these measurements. */
function shares(...usages: Partial<ReturnType<typeof sampleBackend>>[]): (number | undefined)[] {
  const sampler = new Sampler();
  return usages.map((usage) => {
    const server = sampleBackend({ startedAt: 5, ...usage });
    return sampler.take(sampleSnapshot({ backends: [server] })).cpuOf(server);
  });
}

test('the CPU share of a server holds until it is measured again', () => {
  expect(shares({ cpuMs: 100, usageAt: 1_000 }, { cpuMs: 600, usageAt: 2_000 }, { cpuMs: 600, usageAt: 2_000 }, { cpuMs: 600, usageAt: 3_000 }))
    .toEqual([undefined, 0.5, 0.5, 0]);
});

test('another process under the same name begins again', () => {
  expect(shares({ cpuMs: 100, usageAt: 1_000 }, { cpuMs: 900, usageAt: 2_000, startedAt: 6 })).toEqual([undefined, undefined]);
});

test('a child that has ended takes its CPU time along, which is no rate', () => {
  expect(shares({ cpuMs: 900, usageAt: 1_000 }, { cpuMs: 100, usageAt: 2_000 })).toEqual([undefined, undefined]);
});

test('a server that is drained and its successor are two', () => {
  const sampler = new Sampler();
  const old = sampleBackend({ predecessor: true, startedAt: undefined, cpuMs: 0, usageAt: 0 });
  const fresh = sampleBackend({ startedAt: 9, cpuMs: 0, usageAt: 0 });
  sampler.take(sampleSnapshot({ backends: [fresh, old] }));
  const sample = sampler.take(sampleSnapshot({ backends: [{ ...fresh, cpuMs: 100, usageAt: 1_000 }, { ...old, cpuMs: 300, usageAt: 1_000 }] }));
  expect([sample.cpuOf(fresh), sample.cpuOf(old)]).toEqual([0.1, 0.3]);
});
