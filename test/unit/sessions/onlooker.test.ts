import { expect, it } from 'vitest';
import { onlookerParams } from '../../../proxy/sessions/onlooker.js';
import { reattach } from '../../../proxy/sessions/recipe.js';
import { FakeClient, FakeLink, attach, recipeOf, sessionOf } from './cast.js';

const OWNERS = { streaming: true, model: 'gpt-4.1', workingDirectory: '/work', excludedTools: ['bash'], requestPermission: true, enableFileHooks: false, tools: [{ name: 'x' }] };
const IN_FORCE = { streaming: true, workingDirectory: '/work', excludedTools: ['bash'], requestPermission: true, enableFileHooks: false };
const SILENT = { sessionId: 's1', disableResume: true, continuePendingWork: false };

it('a reader repeats what is in force, and neither model nor tools', () => {
  const { session } = sessionOf();
  attach(session, new FakeLink(), new FakeClient(), OWNERS);
  expect(onlookerParams(session)).toEqual({ ...IN_FORCE, ...SILENT });
});

it('a reader who comes alone says nothing', () => {
  expect(onlookerParams(sessionOf().session)).toEqual(SILENT);
});

it('what counts is what the last writer said, and not another reader', () => {
  const { session } = sessionOf();
  attach(session, new FakeLink(), new FakeClient(1), { streaming: true });
  const reader = attach(session, new FakeLink(), new FakeClient(2), { streaming: false });
  reader.access = 'reader';
  expect(onlookerParams(session)['streaming']).toBe(true);
});

it('what a reader repeats is passed on by him, when nobody else is left', () => {
  const { session } = sessionOf();
  const reader = attach(session, new FakeLink(), new FakeClient(1), IN_FORCE);
  reader.access = 'reader';
  expect(onlookerParams(session)).toEqual({ ...IN_FORCE, ...SILENT });
});

it('a reader who is attached again repeats what is in force then', async () => {
  const { session } = sessionOf('s1', { turns: 1 });
  attach(session, new FakeLink(), new FakeClient(1), { streaming: true });
  const link = new FakeLink();
  const reader = attach(session, link, new FakeClient(2), { streaming: false });
  reader.access = 'reader';
  reader.recipe = recipeOf({ streaming: false }, 'session.resume');
  link.calls.length = 0;
  await reattach(reader, link);
  expect(link.calls[0]).toMatchObject({ method: 'session.resume', params: { streaming: true, disableResume: true } });
});

it('a reader never makes the session anew', async () => {
  const { session } = sessionOf('s1', { turns: 0 });
  const link = new FakeLink();
  const reader = attach(session, link, new FakeClient(), {});
  reader.access = 'reader';
  link.calls.length = 0;
  link.answers.push({ ok: false, error: { code: -32603, message: 'Session not found for sessionId: s1' } });
  await reattach(reader, link);
  expect(link.methods).toEqual(['session.resume']);
});
