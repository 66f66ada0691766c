import { describe, expect, it } from 'vitest';
import type { Backend } from '../../../proxy/backends/backend.js';
import { PLAIN } from '../../../proxy/backends/profile.js';
import { UsualProfile } from '../../../proxy/backends/usual-profile.js';
import type { WarmUpModel } from '../../../proxy/backends/warm-up-model.js';
import { Warming } from '../../../proxy/backends/warming.js';

/** What is asked of the servers, in order; a warm-up lasts until its `end` is called. */
class House {
  readonly done: string[] = [];
  readonly ends: ((failure?: string) => void)[] = [];
  readonly models: (WarmUpModel | undefined)[] = [];
  readonly usual = new UsualProfile();
  options = { enabled: true, isProxied: false };
  readonly warming = new Warming(() => this.options, () => this.usual);

  backend(name: string, change: object = {}): { tenancy: Backend['tenancy'] } & Backend {
    return {
      name, tenancy: { kind: 'spare' }, eligible: true, incarnation: 1,
      warmUp: (model?: WarmUpModel) => {
        this.done.push(`warm up ${name}`);
        this.models.push(model);
        return new Promise((resolve) => { this.ends.push(resolve); });
      },
      links: { borrow: ({ key }: { key: string }) => Promise.resolve(this.done.push(`link to ${name}: ${key}`)) },
      ...change,
    } as unknown as Backend;
  }

  /** A warm-up that ends at once. */
  async tick(now = performance.now()): Promise<void> {
    const done = this.warming.tick(now);
    const begun = this.done.length;
    while (this.ends.length === 0 && this.done.length === begun && (await settled(done)) === false);
    this.ends.shift()?.();
    await done;
  }
}

/** Whether a promise is settled, looked at after the next round of the event loop. */
function settled(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), new Promise<boolean>((resolve) => { setImmediate(() => resolve(false)); })]);
}

describe('spares', () => {
  it('get warm one after the other, and a link each', async () => {
    const house = new House();
    for (const name of ['u1', 'u2']) house.warming.up(house.backend(name));
    await house.tick();
    expect(house.done).toEqual(['warm up u1', `link to u1: ${PLAIN.key}`]);
    await house.tick();
    expect(house.done.slice(2)).toEqual(['warm up u2', `link to u2: ${PLAIN.key}`]);
    await house.tick();
    expect(house.done).toHaveLength(4);
  });

  it('get warm once in a life of their server', async () => {
    const house = new House();
    const spare = house.backend('u1');
    for (const incarnation of [1, 1, 2]) {
      Object.assign(spare, { incarnation });
      house.warming.up(spare);
      await house.tick();
    }
    expect(house.done.filter((what) => what === 'warm up u1')).toHaveLength(2);
  });

  it('wait while a new user\'s first answer is on its way, but not for ever', async () => {
    const house = new House();
    house.warming.claimed();
    const now = performance.now();
    house.warming.up(house.backend('u1'));
    await house.tick(now + 1_900);
    expect(house.done).toEqual([]);
    await house.tick(now + 2_100);
    expect(house.done[0]).toBe('warm up u1');
    house.warming.up(house.backend('u2'));
    const late = house.tick(performance.now() + 10_001);
    house.warming.claimed();
    await late;
    expect(house.done).toContain('warm up u2');
  });

  it.each([
    ['has been given to a user meanwhile', { tenancy: { kind: 'user', user: 'alice' } }],
    ['is out of service', { eligible: false }],
  ])('do not get warm when one %s', async (_what, change) => {
    const house = new House();
    const spare = house.backend('u1');
    house.warming.up(spare);
    Object.assign(spare, change);
    await house.tick();
    expect(house.done).toEqual([]);
  });

  it.each([
    ['servers that users share', { tenancy: { kind: 'shared' } }],
    ['servers that keep the files of their sessions themselves', { incarnation: undefined }],
  ])('are none: %s', async (_what, change) => {
    const house = new House();
    house.warming.up(house.backend('b1', change));
    await house.tick();
    expect(house.done).toEqual([]);
  });

  it('stay cold with fleet.warm_up: false', async () => {
    const house = new House();
    house.options = { enabled: false, isProxied: false };
    house.warming.up(house.backend('u1'));
    await house.tick();
    expect(house.done).toEqual([]);
  });

  it('are asked to take a turn only where no proxy would hear of it', async () => {
    const house = new House();
    house.warming.up(house.backend('u1'));
    await house.tick();
    house.options = { enabled: true, isProxied: true };
    house.warming.up(house.backend('u2'));
    await house.tick();
    expect(house.models.map((model) => model !== undefined)).toEqual([true, false]);
  });

  it('that were given away in mid-warm-up get no link opened for them', async () => {
    const house = new House();
    const spare = house.backend('u1');
    house.warming.up(spare);
    const done = house.warming.tick(performance.now());
    while (house.ends.length === 0) await settled(done);
    Object.assign(spare, { tenancy: { kind: 'user', user: 'alice' } });
    house.ends[0]!();
    await done;
    expect(house.done).toEqual(['warm up u1']);
  });
});
