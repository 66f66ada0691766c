/** A client that vanishes in the middle of a turn, and what its user finds on coming back. */
import { defineTool } from '@github/copilot-sdk';
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn, type CopilotSession } from '../support/sdk.js';
import { Site } from '../support/site.js';
import type { WireClient } from '../support/wire-client.js';

const scope = scopeOfEachTest();

const start = (linger: string) => Site.start(scope, { servers: 1, config: { sessions: { linger } } });

/** A turn that is under way for a client that is about to vanish. */
async function turnOf(site: Site, sessionId: string, prompt: string, more: object = {}): Promise<WireClient> {
  const client = await site.wire();
  await client.result('session.create', site.params({ sessionId, ...more }));
  await client.result('session.send', { sessionId, prompt });
  return client;
}

const lingering = (site: Site) => site.until((status) => status.sessions.byState.lingering === 1);
const nobodyThere = (site: Site) => site.until((status) => status.sessions.attached === 0);

async function answers(session: CopilotSession): Promise<string[]> {
  const events = await session.getEvents();
  return events.flatMap((event) => (event.type === 'assistant.message' && event.data.content !== '' ? [event.data.content] : []));
}

/** How the turns ended; the log is written a little later than the status tells of it. */
async function outcomes(site: Site): Promise<unknown[]> {
  await site.skyport.logged((line) => line.event === 'turn_ended');
  return site.skyport.log.filter((line) => line.event === 'turn_ended').map((line) => line.outcome);
}

describe('a turn whose client vanished', () => {
  it('is held and completes: its answer is in the history', async () => {
    const site = await start('1h');
    const client = await turnOf(site, 'held', 'finish this [[hold:alone]]');
    await site.model.asked('[[hold:alone]]');
    client.destroy();
    await lingering(site);
    site.model.release('alone');
    await nobodyThere(site);
    expect(await outcomes(site)).toEqual(['idle']);
    const back = await site.client().resumeSession('held', site.session());
    expect(await answers(back)).toEqual(['answer 1: finish this [[hold:alone]]']);
    expect((await turn(back, 'thanks')).text).toBe('answer 2: thanks');
  });

  it('is heard live by the same user who comes back in time', async () => {
    const site = await start('1h');
    const client = await turnOf(site, 'live', '[[stream:3]][[hold:live]]', { streaming: true });
    await client.untilEvent('live', 'assistant.message_delta');
    client.destroy();
    await lingering(site);
    const back = await site.client().resumeSession('live', site.session({ streaming: true }));
    const heard = new Recording(back);
    site.model.release('live');
    await heard.until('session.idle');
    expect(heard.of('assistant.message_delta').map((event) => event.data.deltaContent)).toEqual(['d1 ', 'd2 ']);
    expect(heard.text).toBe('d0 d1 d2 ');
    expect((await turn(back, 'more')).text).toBe('answer 2: more');
  });

  it('lets its tools be registered again, and calls them at the new client', async () => {
    const site = await start('1h');
    const tool = { name: 'deploy', description: 'ships it', parameters: { type: 'object', properties: {} }, skipPermission: true };
    const client = await turnOf(site, 'tools', '[[hold:tools]] [[tool:deploy]]', { tools: [tool] });
    await site.model.asked('[[hold:tools]]');
    client.destroy();
    await lingering(site);
    const back = await site.client().resumeSession('tools', site.session({
      tools: [defineTool('deploy', { skipPermission: true, handler: () => 'shipped by the new one' })],
    }));
    const heard = new Recording(back);
    site.model.release('tools');
    await heard.until('session.idle');
    expect(heard.text).toBe('tools said: shipped by the new one');
  });

  it('asks the new client what the old one was asked and did not answer', async () => {
    const site = await start('1h');
    const client = await turnOf(site, 'asked', '[[tool:ask_user {"question":"still there?"}]]', { requestUserInput: true });
    await client.until((message) => message.method === 'userInput.request');
    client.destroy();
    await lingering(site);
    const questions: string[] = [];
    const back = site.client().resumeSession('asked', site.session({
      onUserInputRequest: ({ question }) => {
        questions.push(question);
        return { answer: 'yes, again', wasFreeform: true };
      },
    }));
    const heard = new Recording(await back);
    while (!heard.text?.includes('yes, again')) await heard.until('assistant.message', heard.of('assistant.message').length + 1);
    expect(questions).toEqual(['still there?']);
  });

  it('asks the new client what came up while nobody was there', async () => {
    const site = await start('1h');
    const client = await turnOf(site, 'later', '[[hold:later]] [[tool:ask_user {"question":"anybody?"}]]', { requestUserInput: true });
    await site.model.asked('[[hold:later]]');
    client.destroy();
    await lingering(site);
    site.model.release('later');
    const questions: string[] = [];
    const back = await site.client().resumeSession('later', site.session({
      onUserInputRequest: ({ question }) => {
        questions.push(question);
        return { answer: 'here', wasFreeform: true };
      },
    }));
    const heard = new Recording(back);
    await heard.until('session.idle');
    expect([questions, heard.text]).toEqual([['anybody?'], expect.stringContaining('here')]);
  });

  it('waits with a hook that guards its tools until its user is back', async () => {
    const site = await start('1h');
    const tool = { name: 'danger', description: 'does harm', parameters: { type: 'object', properties: {} }, skipPermission: true };
    const client = await turnOf(site, 'hooked', '[[hold:hooked]] [[tool:danger]]', { hooks: true, tools: [tool] });
    client.onRequest = (request) => client.answer(request, {});
    for (const request of client.requests()) client.answer(request, {});
    await site.model.asked('[[hold:hooked]]');
    client.destroy();
    await lingering(site);
    site.model.release('hooked');
    let called = false;
    const back = await site.client().resumeSession('hooked', site.session({
      hooks: { onPreToolUse: () => ({ permissionDecision: 'deny', permissionDecisionReason: 'not without me' }) },
      tools: [defineTool('danger', { skipPermission: true, handler: () => { called = true; } })],
    }));
    const heard = new Recording(back);
    await heard.until('session.idle');
    expect([called, heard.text]).toEqual([false, expect.stringContaining('not without me')]);
  });

  it('is nobody else\'s', async () => {
    const site = await start('1h');
    const client = await turnOf(site, 'hers', '[[hold:hers]]');
    await site.model.asked('[[hold:hers]]');
    client.destroy();
    await lingering(site);
    const bob = await site.wire('bob');
    const refused = await bob.call('session.resume', site.params({ sessionId: 'hers' }));
    expect(refused.error?.message).toBe('Session not found for sessionId: hers');
    await lingering(site);
    site.model.release('hers');
    await nobodyThere(site);
    expect(await outcomes(site)).toEqual(['idle']);
  });

  it('is ended when nobody came back in time', async () => {
    const site = await start('300ms');
    const client = await turnOf(site, 'given-up', '[[hold:given-up]]');
    await site.model.asked('[[hold:given-up]]');
    client.destroy();
    expect(await outcomes(site)).toEqual(['client_gone']);
    site.model.release('given-up');
    const back = await site.client().resumeSession('given-up', site.session());
    expect(await answers(back)).toEqual([]);
  });

  it('is not held at all where `sessions.linger` is 0s', async () => {
    const site = await start('0s');
    const client = await turnOf(site, 'dropped', '[[hold:dropped]]');
    await site.model.asked('[[hold:dropped]]');
    client.destroy();
    expect(await outcomes(site)).toEqual(['client_gone']);
    site.model.release('dropped');
  });
});

describe('a turn whose client left in good order', () => {
  it.each(['session.detach', 'session.destroy'])('is not held after a %s', async (method) => {
    const site = await start('1h');
    const client = await turnOf(site, 'left', '[[hold:left]]');
    await site.model.asked('[[hold:left]]');
    expect(await client.result(method, { sessionId: 'left' })).toMatchObject({ success: true });
    await client.stop();
    await nobodyThere(site);
    expect(await outcomes(site)).toEqual(['client_gone']);
    site.model.release('left');
    expect(await answers(await site.client().resumeSession('left', site.session()))).toEqual([]);
  });
});
