import { beforeEach, describe, expect, it } from 'vitest';
import { Journal } from '../../../proxy/sessions/journal.js';
import { frameOf } from '../../../proxy/wire/frame.js';
import { slabs } from '../../../proxy/wire/slab.js';

let journal: Journal;

beforeEach(() => {
  journal = new Journal();
});

interface Given {
  readonly type: string;
  readonly id: string;
  readonly parentId?: string | null;
  readonly data?: object;
  readonly ephemeral?: boolean;
  readonly agentId?: string;
}

/** An event as a server writes it. */
const line = ({ type, id, parentId = null, data = {}, ...rest }: Given): string =>
  JSON.stringify({ type, data, id, timestamp: '2026-11-22T21:14:55.160Z', parentId, ...rest });

function see(event: Given): string | undefined {
  return journal.see(event.type, frameOf(`{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"s","event":${line(event)}}}`));
}

const missing = (known: string[] = [], prompted: string[] = []): string[] => journal.missing(new Set(known), new Set(prompted));

const user: Given = { type: 'user.message', id: 'e1', data: { content: 'hello', messageId: 'm1' } };
const system: Given = { type: 'system.message', id: 'e2', parentId: 'e1', data: { content: 'be good' } };
const begun: Given = { type: 'assistant.turn_start', id: 'e3', parentId: 'e2', data: { turnId: '0' } };

describe('what a server has told of and not stored', () => {
  it('is missing in the history, to the byte', () => {
    for (const event of [user, system, begun]) see(event);
    expect(missing()).toEqual([user, system, begun].map(line));
    expect(journal.dirty).toBe(true);
  });

  it('is missing to the byte also when it is long, in any script', () => {
    const long: Given = { ...system, data: { content: 'é'.repeat(20_000) } };
    for (const event of [user, long, begun]) see(event);
    expect(missing()).toEqual([user, long, begun].map(line));
    expect(missing([], [''])).toEqual([user, begun].map(line));
  });

  it('is missing to the byte also when it came in a slab, which nobody gets after it', () => {
    const large: Given = { ...system, data: { content: 'é'.repeat(100_000) } };
    const { buffer, start, body, end } = frameOf(`{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"s","event":${line(large)}}}`);
    const slab = slabs.lease(end);
    buffer.copy(slab);
    const lease = slabs.leaseOf(slab)!;
    lease.take();
    journal.see(large.type, { buffer: slab, start, body, end });
    lease.left();
    expect(slabs.lease(end) === slab).toBe(false);
    expect(missing()).toEqual([line(large)]);
  });

  it('is missing no more once it was appended', () => {
    for (const event of [user, system, begun]) see(event);
    journal.stored(`${line(user)}\n${line(system)}\n`);
    expect(missing()).toEqual([line(begun)]);
    journal.stored(`${line(begun)}\n`);
    expect(journal.dirty).toBe(false);
  });

  it('is missing no more when it was appended among others, in another order', () => {
    for (const event of [user, system, begun]) see(event);
    journal.stored(`${JSON.stringify({ type: 'model.note', data: { id: 'e0', note: '"id":"' }, id: 'n1' })}\n${line(begun)}\n${line(user)}\n{"id":"`);
    expect(journal.dirty).toBe(false);
  });

  it('stays where an append only names it elsewhere', () => {
    see(user);
    journal.stored(`${JSON.stringify({ type: 'model.note', data: {}, id: 'n1', parentId: user.id })}\n`);
    expect(missing()).toEqual([line(user)]);
  });

  it('is left out where the history has it', () => {
    see(user);
    see(begun);
    expect(missing(['e1'])).toEqual([line(begun)]);
  });

  it.each([
    ['by its flag', { type: 'session.info', id: 'e1', ephemeral: true }],
    ['by its type', { type: 'assistant.message_delta', id: 'e1' }],
    ['as a message of another kind', { type: 'session.info', id: 7 as unknown as string }],
  ])('is not what is never stored, %s', (_, event) => {
    see(event);
    expect(journal.dirty).toBe(false);
  });

  it('is there once, whoever brings it', () => {
    see(user);
    see(begun);
    see(user);
    expect(missing()).toEqual([line(user), line(begun)]);
  });

  it('stands in the order of its parents, in which a server stores what it does at one time', () => {
    const asked: Given = { type: 'permission.requested', id: 'e6', parentId: 'e5' };
    const called: Given = { type: 'external_tool.requested', id: 'e5', parentId: 'e4' };
    const started: Given = { type: 'tool.execution_start', id: 'e4', parentId: 'e3' };
    for (const event of [started, asked, called]) see(event);
    expect(missing()).toEqual([started, called, asked].map(line));
  });

  it('stays when only what came after it was appended', () => {
    see(user);
    see(begun);
    journal.stored(`${line(begun)}\n`);
    expect(missing()).toEqual([line(user)]);
  });

  it('is not a system message that the history has already, of the same agent', () => {
    const other: Given = { ...system, id: 'e9', agentId: 'sub' };
    for (const event of [user, system, other]) see(event);
    expect(missing([], [''])).toEqual([line(user), line(other)]);
    expect(missing([], ['', 'sub'])).toEqual([line(user)]);
  });

  it('is not a repeated system message, which nobody stores', () => {
    for (const event of [user, system, begun]) see(event);
    journal.stored(`${line(user)}\n${line(begun)}\n`);
    expect(journal.dirty).toBe(false);
  });

  it('is no system message once the history has one of the main agent, unless it was replaced', () => {
    for (const event of [user, system]) see(event);
    journal.stored(`${line(user)}\n${line(system)}\n`);
    see({ ...system, id: 'e4' });
    expect(journal.dirty).toBe(false);
    const other: Given = { ...system, id: 'e5', agentId: 'sub' };
    see(other);
    expect(missing()).toEqual([line(other)]);
    journal.replaced();
    see({ ...system, id: 'e6' });
    expect(missing()).toEqual([line(other), line({ ...system, id: 'e6' })]);
  });

  it('is the system message of the main agent where only one of a sub-agent was stored', () => {
    const other: Given = { ...system, id: 'e5', agentId: 'sub' };
    see(other);
    journal.stored(`${line(other)}\n`);
    see(system);
    expect(missing()).toEqual([line(system)]);
  });

  it('is written anew where a server spells it otherwise', () => {
    journal.see('user.message', frameOf('{"method":"session.event","params":{"event": {"id":"e1", "type":"user.message"},"sessionId":"s"},"jsonrpc":"2.0"}'));
    expect(missing()).toEqual(['{"id":"e1","type":"user.message"}']);
  });

  it('is not what exists only because of a move', () => {
    journal.ghosts.expect('assistant.turn_start');
    see(user);
    expect(see(begun)).toBe('e3');
    expect(missing()).toEqual([line(user)]);
  });

  it('is bounded: the oldest goes first', () => {
    const large = 'x'.repeat(17 * 1_048_576);
    see({ type: 'session.info', id: 'e1', data: { large } });
    see({ type: 'session.info', id: 'e2', data: { large } });
    expect(missing().map((text) => (JSON.parse(text) as { id: string }).id)).toEqual(['e2']);
  });
});

describe('an answer to a prompt', () => {
  const answering = (params: object) => journal.answering('r1', 'session.permissions.handlePendingPermissionRequest', { requestId: 'r1', ...params });

  it('is known until the turn is over', () => {
    const answer = answering({ result: { kind: 'approve-once' } });
    expect(journal.answer('r1')).toBe(answer);
    see({ type: 'session.idle', id: 'e1', ephemeral: true });
    expect(journal.answer('r1')).toBeUndefined();
  });

  it.each([
    ['approve-once', true], ['approve-for-session', true], ['approved', true],
    ['reject', false], ['denied-interactively-by-user', false], ['user-not-available', false],
  ])('of kind %s lets something happen: %s', (kind, approves) => {
    answering({ result: { kind } });
    expect(journal.answerTo('r1')).toEqual({ taken: false, approves });
  });

  it('of a tool counts as one that lets something happen', () => {
    answering({ result: 'the result' });
    expect(journal.answerTo('r1')?.approves).toBe(true);
  });
});

describe('a turn', () => {
  it('rests when its agent does, until it goes on', () => {
    see({ type: 'assistant.idle', id: 'e1', ephemeral: true });
    expect(journal.rested).toBe(true);
    see(begun);
    expect(journal.rested).toBe(false);
  });

  it('that was aborted takes what waits behind it along', () => {
    journal.sends.accepted(journal.sends.sent('session.send', { prompt: 'one' }), 'm1');
    journal.abort();
    expect([journal.aborting, journal.sends.settle([]).lost]).toEqual([true, []]);
    see({ type: 'session.idle', id: 'e1', ephemeral: true });
    expect(journal.aborting).toBe(false);
  });
});
