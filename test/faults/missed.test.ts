/** A client that is away when its turn's server dies: what it has missed of both servers. */
import type { SessionEvent } from '@github/copilot-sdk';
import { expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording } from '../support/sdk.js';
import { Site } from '../support/site.js';

const scope = scopeOfEachTest();

const STORY = new Set<string>(['user.message', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end']);

const lingering = (site: Site) => site.until((status) => status.sessions.byState.lingering === 1);

async function serverOf(site: Site, id: string): Promise<string> {
  return (await site.sessions()).find((row) => row.id === id)!.backend;
}

it.each(['while the turn runs on elsewhere', 'when it has ended there'])('a client that comes back %s has heard the turn once', async (when) => {
  const site = await Site.start(scope, { servers: 2, config: { sessions: { state: 'skyport', linger: '1h' } } });
  const leaving = site.client();
  const before = await leaving.createSession(site.session({ streaming: true }));
  const heardBefore = new Recording(before);
  await before.send('[[stream:5]] [[hold:moved]]');
  await heardBefore.until('assistant.message_delta');
  await leaving.forceStop();
  await lingering(site);
  const first = await serverOf(site, before.sessionId);
  await site.servers[Number(first.slice('cli-'.length)) - 1]!.kill9();
  await site.model.asked('[[hold:moved]]', 2);
  const ended = when.includes('ended');
  if (ended) {
    site.model.release('moved');
    await site.until((status) => status.sessions.attached === 0);
  } else {
    await lingering(site);
  }
  const heard: SessionEvent[] = [];
  const back = await site.client().resumeSession(before.sessionId, site.session({ streaming: true, onEvent: (event) => { heard.push(event); } }));
  if (!ended) site.model.release('moved');
  while (!heard.some(({ type }) => type === 'session.idle')) await new Promise((resolve) => setTimeout(resolve, 10));
  const all = [...heardBefore.events, ...heard];
  // A server that is just unloading the session may tell whoever resumes it of that twice (measured, runtime 1.0.85).
  const counted = all.filter(({ type }) => type !== 'session.resume');
  expect(new Set(counted.map(({ id }) => id)).size).toBe(counted.length);
  const told = all.filter(({ type }) => STORY.has(type));
  expect(told.map(({ type }) => type)).toEqual([...STORY]);
  // The second server begins the turn once more: that is in the history, and no client hears of it.
  const history = (await back.getEvents()).map(({ id }) => id).filter((id) => told.some((event) => event.id === id));
  expect(told.map(({ id }) => id)).toEqual(history);
  expect(heard.flatMap((event) => (event.type === 'assistant.message' ? [event.data.content] : []))).toEqual(['d0 d1 d2 d3 d4 ']);
  expect(heard.filter(({ type }) => type === 'session.error')).toEqual([]);
  expect(await serverOf(site, before.sessionId)).not.toBe(first);
});
