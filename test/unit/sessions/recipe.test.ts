import { beforeEach, describe, expect, it } from 'vitest';
import { isRefusal, refuse } from '../../../proxy/protocol/errors.js';
import type { Attachment } from '../../../proxy/sessions/attachment.js';
import { createParams, isNotFound, reattach, stripParams } from '../../../proxy/sessions/recipe.js';
import type { Session } from '../../../proxy/sessions/session.js';
import { attach, failure, FakeClient, FakeLink, recipeOf, sessionOf, settled } from './cast.js';

const NOT_FOUND = failure('Request session.resume failed with message: Session not found: s1');

let session: Session;
let link: FakeLink;
let attachment: Attachment;

/** Loses the session's link after so many turns; the attachment then has a place on another one. */
function lost(turns: number, params: object): void {
  ({ session } = sessionOf('s1', { turns }));
  const before = new FakeLink();
  attachment = attach(session, before, new FakeClient(), params);
  before.lose();
  link = new FakeLink();
  attachment.take(link);
}

describe('attaching again', () => {
  beforeEach(() => lost(3, { sessionId: 'S', model: 'gpt-4.1', tools: [{ name: 't' }], continuePendingWork: true, provider: { apiKey: 'k' } }));

  it('is a silent resume with what the client gave, but for the model, which may have been switched since', async () => {
    expect(await reattach(attachment, link)).toBeUndefined();
    expect(link.calls[0]).toMatchObject({ method: 'session.resume' });
    expect(link.calls[0]!.params).toEqual({
      sessionId: 's1', tools: [{ name: 't' }], provider: { apiKey: 'k' }, disableResume: true, continuePendingWork: false,
    });
    expect(attachment.state).toBe('attached');
  });

  it('lets events flow before it is answered', () => {
    link.holdsAnswers = true;
    void reattach(attachment, link);
    expect([attachment.state, link.places.get('s1')]).toEqual(['attaching', attachment]);
  });

  it('that the server refuses says so, and may be tried again', async () => {
    link.answers.push(failure('disk full'));
    const refusal = await reattach(attachment, link);
    expect(refusal).toMatchObject({ name: 'SKYPORT_SESSION_LOST', message: 'The session could not be attached again: disk full' });
    expect([attachment.state, link.places.size]).toEqual(['lost', 0]);
  });

  it('that was lost on the way is refused with the reason', async () => {
    link.answers.push(refuse('SKYPORT_BACKEND_LOST'));
    expect(await reattach(attachment, link)).toMatchObject({ name: 'SKYPORT_BACKEND_LOST' });
    expect(attachment.state).toBe('lost');
  });

  it('does not create a session that was used: its history would begin anew', async () => {
    link.answers.push(NOT_FOUND);
    expect(isRefusal((await reattach(attachment, link))!)).toBe(true);
    expect(link.methods).toEqual(['session.resume']);
  });

  it('without a recipe is refused, and leaves the link', async () => {
    attachment.recipe = undefined;
    expect(await reattach(attachment, link)).toMatchObject({ name: 'SKYPORT_SESSION_LOST' });
    expect(link.places.size).toBe(0);
  });

  it('for a client that left meanwhile is given up again', async () => {
    link.holdsAnswers = true;
    const done = reattach(attachment, link);
    attachment.vanished(0, 30_000, []);
    link.calls[0]!.answer({ ok: true, result: {} });
    await done;
    link.calls[1]!.answer({ ok: true, result: {} });
    await settled();
    expect([link.methods, attachment.state]).toEqual([['session.resume', 'session.detach'], 'gone']);
  });

  it('that was refused for a client that left meanwhile ends there', async () => {
    link.holdsAnswers = true;
    const done = reattach(attachment, link);
    attachment.vanished(0, 30_000, []);
    link.calls[0]!.answer(failure('no'));
    await done;
    expect([attachment.state, session.attachments.length]).toEqual(['gone', 0]);
  });
});

describe('attaching a session again that was never used', () => {
  beforeEach(() => lost(0, { model: 'gpt-4.1', disableResume: false, openCanvases: [], streaming: true }));

  it('names the model, for the server may have none of it stored', async () => {
    await reattach(attachment, link);
    expect(link.calls[0]!.params).toMatchObject({ model: 'gpt-4.1' });
  });

  it('falls back to a create, without what only a resume has', async () => {
    link.answers.push(NOT_FOUND);
    expect(await reattach(attachment, link)).toBeUndefined();
    expect(link.methods).toEqual(['session.resume', 'session.create']);
    expect(link.calls[1]!.params).toEqual({ sessionId: 's1', model: 'gpt-4.1', streaming: true });
  });

  it('does not fall back for any other error', async () => {
    link.answers.push(failure('External tool name clash'));
    await reattach(attachment, link);
    expect(link.methods).toEqual(['session.resume']);
  });
});

describe('what is left out of a create', () => {
  it('are the parameters of a resume, and the given object stays as it is', () => {
    const params = { disableResume: true, continuePendingWork: true, openCanvases: [], model: 'm' };
    expect(createParams(params)).toEqual({ model: 'm' });
    expect(Object.keys(params)).toHaveLength(4);
  });
});

describe('a missing session', () => {
  it.each([
    ['Request session.resume failed with message: Session not found: s1', true],
    ['session not found for sessionId: s1', true],
    ['External tool name clash: t1', false],
  ])('is told by "%s": %s', (message, missing) => {
    expect(isNotFound(message)).toBe(missing);
  });
});

describe('what takes a client\'s things off a shared session', () => {
  it('is nothing where it had neither tools nor capabilities', () => {
    expect(stripParams('s1', recipeOf({ tools: [], hooks: true, commands: [{}] }), undefined)).toBeUndefined();
    expect(stripParams('s1', undefined, recipeOf(TOOLS))).toBeUndefined();
  });

  it.each([{ tools: [{ name: 't' }] }, { requestElicitation: true }, { requestUserInput: true }])('is a silent resume where it had %j', (had) => {
    expect(stripParams('s1', recipeOf(had), undefined)).toEqual({
      sessionId: 's1', disableResume: true, tools: [], requestElicitation: false, requestUserInput: false, hooks: false,
    });
  });

  it('repeats what a resume would override for those who stay, and nothing else of theirs', () => {
    const staying = recipeOf({ streaming: true, availableTools: ['a'], tools: [{ name: 'b' }], provider: { apiKey: 'k' }, requestPermission: false });
    const params = stripParams('s1', recipeOf(TOOLS), staying);
    expect(params).toEqual({
      sessionId: 's1', streaming: true, availableTools: ['a'], requestPermission: false,
      disableResume: true, tools: [], requestElicitation: false, requestUserInput: false, hooks: false,
    });
  });
});

const TOOLS = { tools: [{ name: 't' }] };
