/** Prompts that are events: what was pending when a client vanished is asked of the one who comes back. */
import { defineTool, type PermissionRequestResult } from '@github/copilot-sdk';
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn } from '../support/sdk.js';
import { Site } from '../support/site.js';

const scope = scopeOfEachTest();

const never = () => new Promise<never>(() => undefined);
const start = () => Site.start(scope, { servers: 1, config: { sessions: { linger: '1h' } } });
const lingering = (site: Site) => site.until((status) => status.sessions.byState.lingering === 1);

describe('a client that comes back to a held turn', () => {
  it('is asked for the permission that the one before did not give', async () => {
    const site = await start();
    const leaving = site.client();
    const before = await leaving.createSession(site.session({ onPermissionRequest: never }));
    const seen = new Recording(before);
    await before.send('[[tool:bash {"command":"echo granted","description":"greet"}]]');
    await seen.until('permission.requested');
    await leaving.forceStop();
    await lingering(site);
    const asked: string[] = [];
    const back = await site.client().resumeSession(before.sessionId, site.session({
      onPermissionRequest: ({ kind }): PermissionRequestResult => {
        asked.push(kind);
        return { kind: 'approve-once' };
      },
    }));
    const heard = new Recording(back);
    await heard.until('session.idle');
    expect(asked).toEqual(['shell']);
    expect(heard.text).toContain('granted');
  });

  it('is given the call of a tool that the one before did not finish', async () => {
    const site = await start();
    const leaving = site.client();
    const before = await leaving.createSession(site.session({ tools: [defineTool('count', { skipPermission: true, handler: never })] }));
    const seen = new Recording(before);
    await before.send('[[tool:count]]');
    await seen.until('external_tool.requested');
    await leaving.forceStop();
    await lingering(site);
    const back = await site.client().resumeSession(before.sessionId, site.session({
      tools: [defineTool('count', { skipPermission: true, handler: () => 'one, two, three' })],
    }));
    const heard = new Recording(back);
    await heard.until('session.idle');
    expect(heard.text).toBe('tools said: one, two, three');
    expect((await turn(back, 'and on')).text).toBe('answer 2: and on');
  });

  it('is asked for the permission that came up while nobody was there', async () => {
    const site = await start();
    const leaving = site.client();
    const before = await leaving.createSession(site.session());
    await before.send('[[hold:away]] [[tool:bash {"command":"echo late","description":"greet"}]]');
    await site.model.asked('[[hold:away]]');
    await leaving.forceStop();
    await lingering(site);
    site.model.release('away');
    const back = await site.client().resumeSession(before.sessionId, site.session());
    const heard = new Recording(back);
    await heard.until('session.idle');
    expect(heard.text).toContain('late');
  });

  it('is not asked again what was answered before', async () => {
    const site = await start();
    const leaving = site.client();
    const before = await leaving.createSession(site.session({ onUserInputRequest: never }));
    const seen = new Recording(before);
    await before.send('[[tool:bash {"command":"echo early","description":"greet"}]] [[tool:ask_user {"question":"on?"}]]');
    await seen.until('user_input.requested');
    await leaving.forceStop();
    await lingering(site);
    const asked: string[] = [];
    const back = await site.client().resumeSession(before.sessionId, site.session({
      onPermissionRequest: ({ kind }): PermissionRequestResult => {
        asked.push(kind);
        return { kind: 'approve-once' };
      },
      onUserInputRequest: ({ question }) => {
        asked.push(question);
        return { answer: 'on', wasFreeform: true };
      },
    }));
    await new Recording(back).until('session.idle');
    expect(asked).toEqual(['on?']);
  });

  it('may abort the turn instead', async () => {
    const site = await start();
    const leaving = site.client();
    const before = await leaving.createSession(site.session({ onPermissionRequest: never }));
    const seen = new Recording(before);
    await before.send('[[tool:bash {"command":"echo no","description":"greet"}]]');
    await seen.until('permission.requested');
    await leaving.forceStop();
    await lingering(site);
    const back = await site.client().resumeSession(before.sessionId, site.session({ onPermissionRequest: never }));
    const heard = new Recording(back);
    await heard.until('permission.requested');
    await back.abort();
    await heard.until('session.idle');
    expect((await turn(back, 'something else')).text).toMatch(/something else$/);
  });
});
