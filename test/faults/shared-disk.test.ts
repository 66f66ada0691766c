/**
 * `sessions.state: shared`: all CLI servers have one directory mounted as their `session-state`. What is stored
 * goes on at any server; a turn that was running on a dead one is over.
 */
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { killServerOf, serverOf, shown } from '../support/failover.js';
import { scopeOfEachTest, type Scope } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { Site } from '../support/site.js';
import { removeTemporary, temporary } from '../support/temporary.js';

const scope = scopeOfEachTest();

/** Two servers, as a mounted network disk would have them. */
async function start(of: Scope): Promise<{ site: Site; disk: string }> {
  const directory = temporary('skyport-shared-');
  of.after(() => removeTemporary(directory));
  const disk = path.join(directory, 'disk');
  mkdirSync(disk);
  const homes = ['one', 'two'].map((name) => {
    const home = path.join(directory, name);
    mkdirSync(home);
    symlinkSync(disk, path.join(home, 'session-state'));
    return home;
  });
  return { site: await Site.start(of, { servers: 2, homes, config: { sessions: { state: 'shared' } } }), disk };
}

describe('sessions on a disk that all servers have', () => {
  it('go on at the other server when theirs is dead, with all that was said', async () => {
    const { site, disk } = await start(scope);
    const session = await site.client().createSession(site.session());
    await turn(session, 'remember the heron');
    expect(readdirSync(disk)).toContain(session.sessionId);
    const dead = await killServerOf(site, session);
    await site.untilState(`cli-${dead + 1}`, 'down');
    expect((await turn(session, 'and now')).text).toBe('answer 2: and now');
    expect(shown(site, 'and now')).toEqual(['remember the heron', 'and now']);
    expect(await serverOf(site, session)).toBe(1 - dead);
  });

  it('move at once when theirs is drained', async () => {
    const { site } = await start(scope);
    const session = await site.client().createSession(site.session());
    await turn(session, 'remember the heron');
    const from = await serverOf(site, session);
    const { code } = await site.skyport.cli(['drain', `cli-${from + 1}`, '--wait', '--config', site.skyport.configFile]);
    expect(code).toBe(0);
    expect((await turn(session, 'and now')).text).toBe('answer 2: and now');
    expect(shown(site, 'and now')).toEqual(['remember the heron', 'and now']);
    expect(await serverOf(site, session)).toBe(1 - from);
  });

  it('end a turn whose server dies with an error, and take the next one', async () => {
    const { site } = await start(scope);
    const session = await site.client().createSession(site.session());
    await turn(session, 'remember the heron');
    const heard = new Recording(session);
    await session.send('[[hold:dying]]');
    await site.model.asked('[[hold:dying]]');
    const dead = await killServerOf(site, session);
    await heard.until('session.idle');
    expect(heard.of('session.error')).toHaveLength(1);
    await site.untilState(`cli-${dead + 1}`, 'down');
    expect((await turn(session, 'and now')).text).toContain('and now');
    expect(shown(site, 'and now')).toEqual(expect.arrayContaining(['remember the heron', 'and now']));
    expect(await serverOf(site, session)).toBe(1 - dead);
  });
});
