import { beforeEach, describe, expect, it } from 'vitest';
import { hibernate, isQuiet, vacate } from '../../../proxy/sessions/hibernation.js';
import type { Session } from '../../../proxy/sessions/session.js';
import type { Answer } from '../../../proxy/sessions/attachment.js';
import { attach, event, FakeClient, FakeLink, failure, sessionOf, settled, startTurn } from './cast.js';

const answer = (result: object): Answer => ({ ok: true, result });
const IDLE = [answer({ hasActiveWork: false }), answer({ items: [], steeringMessages: [] }), answer({ entries: [] })];

let session: Session;
let link: FakeLink;
let client: FakeClient;

beforeEach(() => {
  ({ session } = sessionOf('s1', { turns: 1 }));
  link = new FakeLink();
  client = new FakeClient(1);
});

describe('an idle session', () => {
  it('is detached on the server, and its client keeps it', async () => {
    const attachment = attach(session, link, client);
    link.answers.push(...IDLE);
    expect(await hibernate(session)).toBe(true);
    expect(link.methods).toEqual([
      'session.metadata.activity', 'session.queue.pendingItems', 'session.schedule.list', 'session.detach', 'sessions.readPersistedEvents',
    ]);
    expect([attachment.state, session.state, session.attachments.length, session.resident]).toEqual(['lost', 'asleep', 1, false]);
    expect(link.places.size).toBe(0);
  });

  it('lets writes that come meanwhile wait for it', async () => {
    attach(session, link, client);
    link.answers.push(...IDLE);
    link.holdsAnswers = true;
    const done = hibernate(session);
    for (const call of link.calls) call.answer(link.answers.shift()!);
    await settled();
    let started = false;
    session.order.enter('write', () => (started = true));
    expect([session.dozing !== undefined, started]).toEqual([true, false]);
    link.holdsAnswers = false;
    link.calls.at(-1)!.answer(answer({ success: true }));
    expect(await done).toBe(true);
    expect([session.dozing, started]).toEqual([undefined, true]);
  });

  it('does not pass on what the server says while it unloads it', async () => {
    const attachment = attach(session, link, client);
    attachment.doze();
    event(attachment, 'session.shutdown');
    expect(client.events).toEqual([]);
  });

  it('hides the event that the unload has left in the history, and no other', async () => {
    attach(session, link, client);
    link.answers.push(...IDLE, answer({ success: true }), answer({ events: [{ id: 'ours', type: 'session.shutdown' }] }));
    await hibernate(session);
    const history = { events: [{ id: 'theirs', type: 'session.shutdown' }, { id: 'ours', type: 'session.shutdown' }], cursor: 'c' };
    expect(session.hidden.strip(history)).toEqual({ events: [{ id: 'theirs', type: 'session.shutdown' }], cursor: 'c' });
  });

  it('stays awake when the server will not let it go', async () => {
    const attachment = attach(session, link, client);
    link.answers.push(...IDLE, failure('no'));
    expect(await hibernate(session)).toBe(false);
    expect([attachment.state, session.state]).toEqual(['attached', 'idle']);
  });

  it('whose client vanishes while it is put to sleep is gone when that is done', async () => {
    const attachment = attach(session, link, client);
    link.answers.push(...IDLE);
    link.holdsAnswers = true;
    const done = hibernate(session);
    for (const call of link.calls) call.answer(link.answers.shift()!);
    await settled();
    attachment.vanished(0, 30_000, []);
    link.holdsAnswers = false;
    link.calls.at(-1)!.answer(answer({ success: true }));
    await done;
    expect([attachment.state, session.attachments.length]).toEqual(['gone', 0]);
  });
});

describe('a session that has to leave', () => {
  it('lets calls wait from the first question on', async () => {
    attach(session, link, client);
    link.holdsAnswers = true;
    const done = vacate(session);
    let started = false;
    session.order.enter('write', () => (started = true));
    expect([session.dozing !== undefined, started]).toEqual([true, false]);
    for (const call of link.calls) call.answer(failure('no'));
    expect(await done).toBe(false);
    expect([session.dozing, started, session.state]).toEqual([undefined, true, 'idle']);
  });

  it('does what comes next before those who wait go on', async () => {
    attach(session, link, client);
    link.answers.push(...IDLE);
    const order: string[] = [];
    const done = vacate(session, async () => { await settled(); order.push('next'); });
    session.order.enter('write', () => order.push('write'));
    expect(await done).toBe(true);
    expect(order).toEqual(['next', 'write']);
  });

  it('is asked for on every link, so that everybody has heard the end of the turn', async () => {
    attach(session, link, client);
    const second = new FakeLink();
    const other = attach(session, second, new FakeClient(2));
    link.answers.push(...IDLE);
    second.holdsAnswers = true;
    const done = vacate(session);
    await settled();
    event(other, 'session.idle');
    expect([second.methods, (other.client as FakeClient).events]).toEqual([['session.metadata.activity'], ['session.idle']]);
    second.holdsAnswers = false;
    second.calls[0]!.answer(answer({ hasActiveWork: false }));
    expect(await done).toBe(true);
    expect([link.methods.includes('session.detach'), second.methods.at(-2)]).toEqual([true, 'session.detach']);
  });

  it('takes along what somebody who detached had left on the server', async () => {
    attach(session, link, client);
    const left = new FakeLink();
    left.leaveResidue(session);
    link.answers.push(...IDLE);
    expect(await hibernate(session)).toBe(false);
    expect(await vacate(session)).toBe(true);
    expect([session.residues.size, left.residues.size]).toEqual([0, 0]);
  });
});

describe('a session is left alone', () => {
  it.each([
    ['in a turn', () => startTurn(session)],
    ['while a call waits for its answer', () => (session.calls = 1)],
    ['while a write waits', () => session.order.enter('write', () => undefined)],
    ['while a prompt waits', () => event(session.primary!, 'permission.requested', { requestId: 'r1' })],
    ['while it is created', () => (session.creating = true)],
    ['when it was deleted', () => (session.deleted = true)],
    ['when somebody is attaching', () => new FakeLink().attach('s1', attachingTo(session))],
  ])('%s', async (_when, make) => {
    attach(session, link, client);
    expect(isQuiet(session)).toBe(true);
    make();
    expect(isQuiet(session)).toBe(false);
    expect(await hibernate(session)).toBe(false);
    expect(link.methods).toEqual([]);
  });

  it.each([
    ['works in the background', [answer({ hasActiveWork: true }), IDLE[1]!, IDLE[2]!]],
    ['has a message queued', [IDLE[0]!, answer({ items: [{}], steeringMessages: [] }), IDLE[2]!]],
    ['has something scheduled', [IDLE[0]!, IDLE[1]!, answer({ entries: [{}] })]],
    ['does not say', [failure('Unhandled method'), IDLE[1]!, IDLE[2]!]],
  ])('whose server says that it %s', async (_what, answers) => {
    const attachment = attach(session, link, client);
    link.answers.push(...answers);
    expect(await hibernate(session)).toBe(false);
    expect([attachment.state, link.methods.includes('session.detach')]).toEqual(['attached', false]);
  });
});

function attachingTo(of: Session) {
  const attachment = attach(of, new FakeLink(), new FakeClient(2));
  attachment.state = 'attaching';
  return attachment;
}
