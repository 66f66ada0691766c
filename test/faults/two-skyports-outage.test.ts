/** Redis goes away for a while under running turns. */
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import type { Site } from '../support/site.js';
import { said, startTwo, story } from '../support/two-skyports.js';

const scope = scopeOfEachTest();

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const storeIs = (up: boolean) => ({ store }: { store?: { up: boolean } }): boolean => store?.up === up;
const isReady = async ({ skyport }: Site): Promise<boolean> => (await fetch(`${skyport.http}/readyz`)).status === 200;

describe.each([
  ['killed and started again', 4_000, 1_000], ['stopped and continued', 4_000, 1_000], ['killed for longer than a call waits', 5_000, 300],
])('Redis, %s', (how, outage, timeout) => {
  it('keeps the turns that run and all that was acknowledged, and refuses new work meanwhile', async () => {
    const { redis, sites } = await startTwo(scope, { appendonly: true, store: { timeout: `${timeout}ms` } });
    const [one, two] = sites;
    const talks = await Promise.all(sites.map(async (site, at) => {
      const session = await site.client().createSession(site.session());
      await turn(session, `remember ${at}`);
      const seen = new Recording(session);
      await session.send(`[[hold:${at}]] running ${at}`);
      await site.model.asked(`running ${at}`);
      return { session, seen };
    }));
    if (how.startsWith('killed')) await redis.kill();
    else redis.pause();
    await Promise.all(sites.map((site) => site.until(storeIs(false))));
    expect(await Promise.all(sites.map(isReady))).toEqual([false, false]);
    const refusal = await one.client().createSession(one.session()).then(() => undefined, (error: { data?: unknown }) => error.data);
    expect(refusal).toMatchObject({ name: 'SKYPORT_STORE_UNAVAILABLE', retryable: true });
    for (const at of [0, 1]) one.model.release(String(at));
    await pause(outage);
    if (how.startsWith('killed')) await redis.start();
    else redis.resume();
    await Promise.all(talks.map(({ seen }, at) => said(seen, `running ${at}`)));
    await Promise.all(sites.map((site) => site.until(storeIs(true))));
    for (const { seen } of talks) expect(seen.of('session.error')).toEqual([]);
    expect((await one.sessions()).filter(({ holder }) => holder === undefined)).toHaveLength(1);
    for (const [at, { session, seen }] of talks.entries()) {
      await session.send(`and now ${at}`);
      await said(seen, `answer 3: and now ${at}`);
      const other = at === 0 ? two : one;
      const site = sites[at]!;
      const stored = [
        `user: remember ${at}`, `assistant: answer 1: remember ${at}`, `user: [[hold:${at}]] running ${at}`,
        `assistant: answer 2: [[hold:${at}]] running ${at}`, `user: and now ${at}`, `assistant: answer 3: and now ${at}`,
      ];
      expect(await story(session)).toEqual(stored);
      // What is stored, and not what its server has in memory.
      await site.skyport.kill9();
      const elsewhere = await other.client().resumeSession(session.sessionId, other.session());
      expect(await story(elsewhere)).toEqual(stored);
      const events = await elsewhere.getEvents();
      expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
      if (at === 0) break;
    }
  }, 60_000);
});
