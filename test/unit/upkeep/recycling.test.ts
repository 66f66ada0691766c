/** The replacement of managed servers, step by step, over servers that are only numbers. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { channels, type BackendRecycle, type RollOver } from '../../../proxy/channels.js';
import type { Recyclable, RecyclableServers } from '../../../proxy/upkeep/recyclable.js';
import type { RecycleLimits } from '../../../proxy/upkeep/recycle-limits.js';
import { Recycling } from '../../../proxy/upkeep/recycling.js';

const MIB = 2 ** 20;

type Server = { -readonly [key in keyof Recyclable]: Recyclable[key] } & { rss: number; openFiles: number; children: number; factor: number | undefined; older: number | undefined };

let servers: Map<string, Server>;
let runs: number;
let now: number;
/** What became of each call of `renew`. */
let renewals: string[];
let killed: string[];
let steps: string[];
let news: RollOver[];
let recovers: boolean;
/** Of runs that have been succeeded. */
let olderRss: Map<number, number>;

function server(name: string, more: Partial<Server> = {}): Server {
  return {
    name, run: ++runs, pid: 1_000 + runs, age: 3_600_000, spare: false, up: true, outdated: false, renewing: false, renewFailed: undefined,
    trouble: undefined, free: true, rss: 30 * MIB, openFiles: 30, children: 0, factor: 1, older: undefined, ...more,
  };
}

function of(name: string): Server {
  return servers.get(name)!;
}

const all: RecyclableServers = {
  list: () => [...servers.values()],
  usage: (name, run) => {
    const one = servers.get(name);
    if (!one) return undefined;
    const { openFiles, children, age } = one;
    return { rss: run === one.run ? one.rss : (olderRss.get(run) ?? 0), openFiles, children, age, cpuMs: 0, at: 0 };
  },
  latencyFactor: (name) => servers.get(name)?.factor,
  renew: (name) => {
    renewals.push(name);
    of(name).renewing = true;
    return true;
  },
  get recovers() { return recovers; },
  kill: (name, run) => void killed.push(`${name}/${run}`),
};

/** The successor of a server listens, and is up. */
function succeed(name: string, more: Partial<Server> = {}): void {
  const one = of(name);
  olderRss.set(one.run!, one.rss);
  servers.set(name, server(name, { age: 0, renewing: true, older: one.run, ...more }));
}

/** The run before it has been drained, and ended. */
function retire(name: string): void {
  of(name).renewing = false;
}

function replaceWhole(name: string): void {
  succeed(name);
  retire(name);
  pass();
}

let recycling: Recycling;

function use(limits: Partial<RecycleLimits>): void {
  recycling = new Recycling({ atOnce: 1, outfit: 'one', ...limits }, all, () => 0);
}

/** Lets so much time pass, with a look every second. */
function pass(ms = 1_000): void {
  for (const end = now + ms; now < end;) {
    now += 1_000;
    for (const one of servers.values()) one.age += 1_000;
    recycling.tick(now);
  }
}

const onStep = ({ backend, reason, step }: BackendRecycle): void => void steps.push(`${backend} ${reason} ${step}`);
const onNews = (one: RollOver): void => void news.push(one);

beforeEach(() => {
  runs = 0;
  now = 1_000;
  recovers = true;
  [renewals, killed, steps, news] = [[], [], [], []];
  olderRss = new Map();
  servers = new Map(['a', 'b', 'c'].map((name) => [name, server(name)]));
  channels.backendRecycle.subscribe(onStep);
  channels.rollOver.subscribe(onNews);
});

afterEach(() => {
  channels.backendRecycle.unsubscribe(onStep);
  channels.rollOver.unsubscribe(onNews);
});

describe('a server', () => {
  it('is left alone while nothing speaks for its replacement', () => {
    use({ rss: 31 * MIB, openFiles: 31, children: 1, age: 36_000_000, latencyFactor: 2 });
    pass(120_000);
    expect(renewals).toEqual([]);
  });

  it.each<[string, Partial<RecycleLimits>, Partial<Server>]>([
    ['rss', { rss: 100 * MIB }, { rss: 100 * MIB }],
    ['open_files', { openFiles: 1_000 }, { openFiles: 1_000 }],
    ['children', { children: 10 }, { children: 10 }],
    ['age', { age: 7_200_000 }, { age: 7_200_000 }],
    ['config', {}, { outdated: true }],
  ])('is replaced for its %s, and the steps are told', (reason, limits, more) => {
    use(limits);
    Object.assign(of('b'), more);
    pass();
    expect(renewals).toEqual(['b']);
    succeed('b');
    pass();
    retire('b');
    pass();
    expect(steps).toEqual([`b ${reason} begun`, `b ${reason} started`, `b ${reason} done`]);
  });

  it('is replaced for its latency once it was slow for a minute', () => {
    use({ latencyFactor: 3 });
    of('b').factor = 4;
    pass(60_000);
    expect(renewals).toEqual([]);
    pass(2_000);
    expect(steps).toEqual(['b latency begun']);
  });

  it('is not replaced for an age that is not known', () => {
    use({ age: 1_000 });
    for (const one of servers.values()) Object.assign(one, { run: undefined, pid: undefined, age: 0, up: false });
    pass();
    expect(renewals).toEqual([]);
  });

  it('tells why it is being replaced, and only that process of it', () => {
    use({ rss: 100 * MIB });
    const { run } = Object.assign(of('b'), { rss: 150 * MIB });
    pass();
    succeed('b');
    pass();
    expect(recycling.reason('b')).toBe('rss is 150 MiB, the limit 100 MiB');
    expect([recycling.reason('b', run), recycling.reason('b', of('b').run), recycling.reason('a')]).toEqual([recycling.reason('b'), undefined, undefined]);
  });

  it('is not replaced while somebody else has plans with it, or it is down', () => {
    use({ rss: 100 * MIB });
    Object.assign(of('a'), { rss: 200 * MIB, free: false });
    Object.assign(of('b'), { rss: 200 * MIB, up: false });
    pass(10_000);
    expect(renewals).toEqual([]);
  });

  it('that leaves the fleet meanwhile makes room for the next', () => {
    use({ rss: 100 * MIB });
    of('a').rss = 120 * MIB;
    of('b').rss = 110 * MIB;
    pass();
    servers.delete('a');
    pass();
    expect(renewals).toEqual(['a', 'b']);
  });
});

describe('replacements', () => {
  it('are one at a time, the worst first, and one is under way until the run before is gone', () => {
    use({ rss: 100 * MIB, openFiles: 100 });
    of('a').rss = 110 * MIB;
    of('b').openFiles = 300;
    of('c').rss = 120 * MIB;
    pass(5_000);
    expect(renewals).toEqual(['b']);
    succeed('b');
    pass(60_000);
    expect(renewals).toEqual(['b']);
    retire('b');
    pass();
    expect(renewals).toEqual(['b', 'c']);
  });

  it('are as many at a time as the operator allows', () => {
    use({ rss: 100 * MIB, atOnce: 2 });
    for (const one of servers.values()) one.rss = 110 * MIB;
    pass(5_000);
    expect(renewals).toHaveLength(2);
  });

  it('are not begun together for servers that were started together', () => {
    const random = [0, 0.5, 1];
    recycling = new Recycling({ atOnce: 3, outfit: 'one', age: 4_200_000 }, all, () => random.shift() ?? 0);
    const begun: number[] = [];
    for (let minute = 0; minute < 10; minute++) {
      pass(60_000);
      begun.push(renewals.length);
    }
    expect([begun[0], begun[3], begun.at(-1)]).toEqual([1, 2, 3]);
  });

  it('are not repeated for what the run before has used', () => {
    use({ rss: 100 * MIB });
    of('b').rss = 150 * MIB;
    pass();
    replaceWhole('b');
    pass(120_000);
    expect(renewals).toEqual(['b']);
  });

  it('come less and less often to a name whose servers are past the threshold from the start', () => {
    use({ rss: 100 * MIB });
    const begun: number[] = [];
    of('b').rss = 150 * MIB;
    for (let n = 0; n < 6; n++) {
      while (renewals.length === n) pass();
      begun.push(now);
      succeed('b', { rss: 150 * MIB });
      retire('b');
      pass();
    }
    const gaps = begun.slice(1).map((at, n) => at - begun[n]!);
    expect(gaps.slice(1).every((gap, n) => gap >= gaps[n]!)).toBe(true);
    expect([gaps[0]! <= 2_000, gaps.at(-1)! >= 40_000]).toEqual([true, true]);
  });

  it('of a server that does not get a successor are tried again after a while', () => {
    use({ rss: 100 * MIB });
    of('b').rss = 150 * MIB;
    pass();
    Object.assign(of('b'), { renewing: false, renewFailed: 'exited with code 1' });
    pass(50_000);
    expect([renewals, steps]).toEqual([['b'], ['b rss begun', 'b rss failed']]);
    pass(20_000);
    expect(renewals).toEqual(['b', 'b']);
  });
});

describe('a new configuration', () => {
  beforeEach(() => {
    use({ atOnce: 2 });
    for (const one of servers.values()) one.outdated = true;
  });

  it('is tried with one server first, then with as many as may be at once', () => {
    pass(5_000);
    expect(renewals).toEqual(['a']);
    replaceWhole('a');
    expect(renewals).toEqual(['a', 'b', 'c']);
  });

  it('is tried with a spare first', () => {
    of('c').spare = true;
    pass();
    expect(renewals).toEqual(['c']);
  });

  it('that does not start is left alone after the first server, and that is told', () => {
    pass();
    Object.assign(of('a'), { renewing: false, renewFailed: 'exited with code 1' });
    pass(600_000);
    expect(renewals).toEqual(['a']);
    expect(news).toEqual([{ stopped: true, backend: 'a', reason: 'exited with code 1' }]);
    expect(recycling.rollOverStopped).toBe('a does not start as the configuration says now: exited with code 1');
  });

  it('that starts and keeps dying is left alone after the first server', () => {
    pass();
    succeed('a', { up: false, trouble: 'exited with code 2' });
    pass();
    retire('a');
    pass(600_000);
    expect([renewals, recycling.rollOverStopped]).toEqual([['a'], expect.stringContaining('exited with code 2')]);
  });

  it('that starts and is of no use is left alone after the first server', () => {
    pass();
    succeed('a', { up: false });
    pass(120_000);
    expect([renewals, recycling.rollOverStopped]).toEqual([['a'], expect.stringContaining('does not come up')]);
  });

  it('is tried again when it has changed, and not for a change of something else', () => {
    pass();
    Object.assign(of('a'), { renewing: false, renewFailed: 'exited with code 1' });
    pass();
    recycling.update({ atOnce: 2, outfit: 'one' });
    pass(10_000);
    expect(renewals).toEqual(['a']);
    recycling.update({ atOnce: 2, outfit: 'two' });
    pass();
    expect([renewals, news.at(-1), recycling.rollOverStopped]).toEqual([['a', 'a'], { stopped: false }, undefined]);
  });

  it('is not given up for what an older one has failed at', () => {
    pass();
    recycling.update({ atOnce: 2, outfit: 'two' });
    Object.assign(of('a'), { renewing: false, renewFailed: 'exited with code 1' });
    pass(1_000);
    expect([recycling.rollOverStopped, renewals]).toEqual([undefined, ['a', 'b']]);
  });

  it('is not given up because a server had no chance to be replaced', () => {
    pass();
    of('a').renewing = false;
    pass(5_000);
    expect([renewals, recycling.rollOverStopped]).toEqual([['a', 'b'], undefined]);
  });
});

describe('twice the memory', () => {
  beforeEach(() => use({ rss: 100 * MIB }));

  it('ends a run that is drained and does not become empty', () => {
    const { run } = Object.assign(of('b'), { rss: 150 * MIB });
    pass();
    succeed('b');
    pass(600_000);
    expect(killed).toEqual([]);
    olderRss.set(run!, 200 * MIB);
    pass(20_000);
    expect([killed, steps.at(-1)]).toEqual([[`b/${run}`], 'b memory killed']);
  });

  it('gives a run a moment to be drained before', () => {
    of('b').rss = 300 * MIB;
    pass();
    succeed('b');
    pass(5_000);
    expect(killed).toEqual([]);
  });

  it('ends a server for whose replacement there is no room', () => {
    of('a').rss = 400 * MIB;
    of('b').rss = 300 * MIB;
    pass();
    succeed('a', { rss: 0 });
    olderRss.clear();
    pass(5_000);
    expect([renewals, killed]).toEqual([['a'], []]);
    pass(10_000);
    expect(killed).toEqual([`b/${of('b').run}`]);
  });

  it('ends none whose turns would be lost', () => {
    recovers = false;
    of('b').rss = 150 * MIB;
    pass();
    succeed('b');
    olderRss.set(2, 500 * MIB);
    pass(60_000);
    expect(killed).toEqual([]);
  });
});

it('wants the usage of all that serve, and of those that are drained', () => {
  use({ rss: 100 * MIB });
  const { run, pid } = Object.assign(of('b'), { rss: 150 * MIB });
  Object.assign(of('c'), { run: undefined, pid: undefined });
  pass();
  succeed('b');
  pass();
  expect(recycling.watched()).toEqual([
    { name: 'a', run: of('a').run, pid: of('a').pid },
    { name: 'b', run: of('b').run, pid: of('b').pid },
    { name: 'b', run, pid },
  ]);
});
