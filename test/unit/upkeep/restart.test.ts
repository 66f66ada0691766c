/** `skyport restart`, step by step, over servers that are only names. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../proxy/backends/backend.js';
import { RollingRestart, type Servers } from '../../../proxy/upkeep/restart.js';
import { settled } from '../sessions/cast.js';

interface Server {
  up: boolean;
  restarting: boolean;
  empty: boolean;
  turnsOpen: number;
  starts: number;
  trouble?: string;
  /** Lets `startAnew` resolve. */
  ended: () => void;
}

let servers: Map<string, Server>;
let substitutes: boolean;
let rolling: RollingRestart;
let now: number;

function server(): Server {
  return { up: true, restarting: false, empty: true, turnsOpen: 0, starts: 0, ended: () => undefined };
}

beforeEach(() => {
  servers = new Map([['managed-1', server()], ['managed-2', server()]]);
  substitutes = true;
  now = 1_000;
  const of = (backend: Backend): Server => backend as unknown as Server;
  const all: Servers = {
    names: () => [...servers.keys()],
    backend: (name) => servers.get(name) as unknown as Backend | undefined,
    isEmpty: (backend) => of(backend).empty,
    load: (backend) => ({ sessionsLoaded: of(backend).empty ? 0 : 1, sessionsStaying: 0, turnsOpen: of(backend).turnsOpen }),
    hasSubstitute: () => substitutes,
    startAnew: (name) => {
      const one = servers.get(name)!;
      one.up = false;
      one.starts++;
      return new Promise((resolve) => (one.ended = resolve));
    },
    trouble: (name) => servers.get(name)?.trouble,
  };
  rolling = new RollingRestart(all);
});

const states = (): string[] => rolling.report().servers.map(({ state }) => state);

/** Ticks every 100 ms for a while. */
async function pass(ms: number): Promise<void> {
  for (const end = now + ms; now < end;) {
    now += 100;
    rolling.tick(now);
    await settled();
  }
}

describe('a rolling restart', () => {
  it('takes one server after the other, and gives each back to its sessions', async () => {
    const [first, second] = [...servers.values()] as [Server, Server];
    rolling.begin(now, 60_000);
    expect([states(), first.restarting, second.restarting]).toEqual([['draining', 'waiting'], true, false]);
    await pass(300);
    expect([states(), first.starts]).toEqual([['stopping', 'waiting'], 1]);
    first.ended();
    await pass(300);
    expect([states(), first.restarting]).toEqual([['starting', 'waiting'], true]);
    first.up = true;
    await pass(200);
    expect([states(), first.restarting, second.restarting]).toEqual([['done', 'draining'], false, true]);
    await pass(300);
    second.ended();
    second.up = true;
    await pass(200);
    expect(rolling.report()).toMatchObject({ running: false, failure: undefined });
    expect([first.starts, second.starts, second.restarting]).toEqual([1, 1, false]);
  });

  it('waits until a server is empty, and stays so', async () => {
    const first = servers.get('managed-1')!;
    first.empty = false;
    rolling.begin(now, 60_000);
    await pass(30_000);
    first.empty = true;
    await pass(100);
    first.empty = false;
    await pass(100);
    expect([states()[0], first.starts]).toEqual(['draining', 0]);
    first.empty = true;
    await pass(200);
    expect([states()[0], first.starts]).toEqual(['stopping', 1]);
  });

  it('gives up in time, and leaves that server and those after it in service', async () => {
    const [first, second] = [...servers.values()] as [Server, Server];
    Object.assign(first, { empty: false, turnsOpen: 1 });
    rolling.begin(now, 2_000);
    await pass(2_500);
    expect(rolling.report()).toMatchObject({ running: false, failure: 'managed-1 was not restarted while draining (loaded sessions: 1, open turns: 1): the time was up' });
    expect([first.restarting, second.restarting, first.starts, second.starts, states()]).toEqual([false, false, 0, 0, ['failed', 'waiting']]);
  });

  it('stops at a server that does not come up', async () => {
    const first = servers.get('managed-1')!;
    rolling.begin(now, 60_000);
    await pass(300);
    first.trouble = 'exit code 1';
    first.ended();
    await pass(300);
    expect(rolling.report()).toMatchObject({ running: false, failure: 'managed-1 was not restarted while starting: it does not come up: exit code 1' });
    expect([servers.get('managed-2')!.starts, first.restarting]).toEqual([0, false]);
  });

  it('skips a server that leaves the fleet', async () => {
    const first = servers.get('managed-1')!;
    first.empty = false;
    rolling.begin(now, 60_000);
    servers.delete('managed-1');
    await pass(100);
    expect([states(), first.restarting, first.starts]).toEqual([['skipped', 'waiting'], false, 0]);
  });

  it('starts a server that is down at once', () => {
    servers.get('managed-1')!.up = false;
    rolling.begin(now, 60_000);
    expect([states()[0], servers.get('managed-1')!.starts]).toEqual(['stopping', 1]);
  });

  it('closes a server that nothing stands in for only for moments, until it is found empty in one of them', async () => {
    substitutes = false;
    const first = servers.get('managed-1')!;
    Object.assign(first, { empty: false, turnsOpen: 1 });
    rolling.begin(now, 600_000);
    await pass(3_900);
    expect(first.restarting).toBe(true);
    await pass(200);
    expect(first.restarting).toBe(false);
    await pass(3_800);
    expect(first.restarting).toBe(false);
    await pass(300);
    expect(first.restarting).toBe(true);
    first.empty = true;
    await pass(300);
    expect(states()[0]).toBe('stopping');
  });

  it('closes it again at once when no turn runs', async () => {
    substitutes = false;
    const first = servers.get('managed-1')!;
    Object.assign(first, { empty: false, turnsOpen: 1 });
    rolling.begin(now, 600_000);
    await pass(4_100);
    first.turnsOpen = 0;
    await pass(100);
    expect(first.restarting).toBe(true);
  });

  it('is not begun twice, but again when it is over', async () => {
    servers.delete('managed-2');
    rolling.begin(now, 60_000);
    expect(rolling.begin(now, 60_000)).toEqual({ orderRefused: 'A restart is under way: managed-1 is draining' });
    await pass(300);
    servers.get('managed-1')!.ended();
    servers.get('managed-1')!.up = true;
    await pass(200);
    expect(rolling.begin(now, 60_000)).toMatchObject({ running: true });
  });

  it('of some servers leaves the others alone', async () => {
    rolling.begin(now, 60_000, ['managed-2']);
    expect([rolling.has('managed-1'), rolling.has('managed-2'), rolling.running]).toEqual([false, true, true]);
    await pass(300);
    servers.get('managed-2')!.ended();
    servers.get('managed-2')!.up = true;
    await pass(200);
    expect([rolling.running, rolling.has('managed-2')]).toEqual([false, false]);
    expect([...servers.values()].map(({ starts }) => starts)).toEqual([0, 1]);
  });

  it('needs a managed server', () => {
    servers.clear();
    expect(rolling.begin(now, 60_000)).toEqual({ orderRefused: expect.stringContaining('There are no managed servers') });
  });
});
