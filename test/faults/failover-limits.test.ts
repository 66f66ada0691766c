/** Where taking a turn up ends: sessions that bring their servers down, stores that are full, servers that come back as they were. */
import { describe, expect, it } from 'vitest';
import { killServerOf, serverOf, shown, startPair, stored } from '../support/failover.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { IMPATIENT_HEALTH, Site } from '../support/site.js';

const scope = scopeOfEachTest();

describe('a session whose turn brings down every server that runs it', () => {
  it('is given up with an error and the end of the turn, and the other sessions go on', async () => {
    const site = await Site.start(scope, { servers: 6, config: { sessions: { state: 'skyport' } } });
    const client = site.client();
    const poisoned = await client.createSession(site.session());
    const heard = new Recording(poisoned);
    await poisoned.send('poison [[hold:never]]');
    let killed = 0;
    const over = heard.until('session.idle').then(() => true);
    for (;;) {
      const struck = await Promise.race([over, site.model.asked('poison', killed + 1)]);
      if (struck === true) break;
      await killServerOf(site, poisoned);
      killed++;
    }
    expect(killed).toBe(4);
    expect(heard.of('session.error').map(({ data }) => data.errorType)).toEqual(['backend_lost']);
    const other = await client.createSession(site.session());
    expect((await turn(other, 'hello')).text).toBe('answer 1: hello');
    expect((await turn(poisoned, 'better now')).text).toBe('answer 2: better now');
  });
});

describe('a session that is over its quota', () => {
  it('has its turn end with an error that says so, and goes on when there is room again', async () => {
    const { site, client } = await startPair(scope, {}, { quota: { per_session: '64KiB' } });
    const session = await client.createSession(site.session());
    await turn(session, 'one');
    const heard = new Recording(session);
    await session.send(`two ${'x'.repeat(80_000)}`);
    await heard.until('session.idle');
    expect(heard.of('session.error')[0]!.data).toMatchObject({ errorType: 'persistence' });
    expect(heard.of('session.error')[0]!.data.message).toContain('EDQUOT');
    await site.until(({ sessions }) => sessions.turnsOpen === 0);
    site.skyport.editConfig((config) => {
      config.sessions = { state: 'skyport' };
    });
    await site.skyport.logged(({ event }) => event === 'config_reloaded');
    expect((await turn(session, 'three')).text).toBe('answer 3: three');
    expect(shown(site, 'three').map((text) => text.split(' ')[0])).toEqual(['one', 'two', 'three']);
  });

  it('goes on elsewhere without what it had no room for', async () => {
    const { site, client } = await startPair(scope, {}, { quota: { per_session: '64KiB' } });
    const session = await client.createSession(site.session());
    await turn(session, 'one');
    const heard = new Recording(session);
    await session.send(`two ${'x'.repeat(80_000)}`);
    await heard.until('session.idle');
    await killServerOf(site, session);
    expect((await turn(session, 'three')).text).toBe('answer 2: three');
  });
});

describe('a static server that hung and comes back as it was', () => {
  it('has let go of its sessions before it gets them again', async () => {
    const { site, client } = await startPair(scope, { config: { health: IMPATIENT_HEALTH, sessions: { state: 'skyport' } } });
    const session = await client.createSession(site.session());
    await turn(session, 'one');
    const heard = new Recording(session);
    await session.send('two [[hold:out]]');
    await site.model.asked('two');
    const index = await serverOf(site, session);
    site.servers[index]!.sigstop();
    await site.model.asked('two', 2);
    site.model.release('out');
    await heard.until('session.idle');
    expect((await turn(session, 'three')).text).toBe('answer 3: three');
    site.servers[index]!.sigcont();
    await site.untilState(`cli-${index + 1}`, 'up');
    await killServerOf(site, session);
    expect((await turn(session, 'four')).text).toBe('answer 4: four');
    expect(await serverOf(site, session)).toBe(index);
    expect(shown(site, 'four').map((text) => text.split(' ')[0])).toEqual(['one', 'two', 'three', 'four']);
    expect((await stored(session)).filter((type) => type === 'user.message')).toHaveLength(4);
  });
});
