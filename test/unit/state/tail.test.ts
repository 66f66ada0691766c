/** The table of PROTOCOL (State on disk and moving a session), row by row; the shapes are the runtime's (1.0.85). */
import { describe, expect, it } from 'vitest';
import type { HistoryEvent } from '../../../proxy/state/history.js';
import { openCalls, roundOf, tailOf, type Known, type Tail } from '../../../proxy/state/tail.js';

let ids = 0;
const of = (type: string, data: object = {}, agentId?: string): HistoryEvent =>
  ({ id: `e${++ids}`, type, data: data as HistoryEvent['data'], ...(agentId === undefined ? {} : { agentId }) });

const user = (delivery = 'idle'): HistoryEvent => of('user.message', { content: 'hello', messageId: 'm1', delivery });
const start = (turnId = '0'): HistoryEvent => of('assistant.turn_start', { turnId, interactionId: 'i' });
const end = (turnId = '0'): HistoryEvent => of('assistant.turn_end', { turnId });
const says = (): HistoryEvent => of('assistant.message', { content: 'hi', toolRequests: [] });
const wants = (...calls: string[]): HistoryEvent => of('assistant.message', { content: '', toolRequests: calls.map((toolCallId) => ({ toolCallId })) });
const begins = (toolCallId: string, toolName = 'bash', agentId?: string): HistoryEvent => of('tool.execution_start', { toolCallId, toolName, turnId: '0' }, agentId);
const ends = (toolCallId: string, error?: object): HistoryEvent => of('tool.execution_complete', { toolCallId, success: error === undefined, error });
const asks = (requestId: string, toolCallId: string): HistoryEvent => of('permission.requested', { requestId, permissionRequest: { kind: 'shell', toolCallId } });
const decided = (requestId: string, kind = 'approved'): HistoryEvent => of('permission.completed', { requestId, result: { kind } });
const calls = (requestId: string, toolCallId: string): HistoryEvent => of('external_tool.requested', { requestId, toolCallId, toolName: 'mine' });
const called = (requestId: string): HistoryEvent => of('external_tool.completed', { requestId });

const BEFORE = [of('session.start'), user(), of('system.message'), start(), says(), end()];
const TURN = [user(), start()];

const tail = (turn: HistoryEvent[], known?: Partial<Known>): Tail => tailOf([...BEFORE, ...turn], { answerTo: () => undefined, rested: false, ...known });
const answered = (taken: boolean, approves: boolean): Partial<Known> => ({ answerTo: () => ({ taken, approves }) });
const ASKED = [...TURN, wants('c'), begins('c'), asks('r', 'c')];
const CALLED = [...TURN, wants('c'), begins('c', 'mine'), calls('r', 'c')];

describe('a turn', () => {
  it('is none in a history without a message', () => {
    expect(tailOf([of('session.start')]).kind).toBe('none');
  });

  it.each<[string, HistoryEvent[], boolean]>([
    ['its message only', [user()], false],
    ['the system message', [user(), of('system.message')], false],
    ['the begin of a round', TURN, true],
    ['the result of a tool', [...TURN, wants('c'), begins('c'), ends('c')], false],
    ['the end of a round with tools', [...TURN, wants('c'), begins('c'), ends('c'), end()], false],
    ['calls that were not begun', [...TURN, wants('c', 'd')], false],
    ['a message that was slipped in', [...TURN, user('steering')], false],
  ])('that ends with %s has the model asked again', (_, turn, begun) => {
    expect(tail(turn)).toMatchObject({ kind: 'model', begun, interrupted: [], again: [], waiting: [] });
  });

  it.each<[string, HistoryEvent[]]>([
    ['an answer and its end', [...TURN, says(), end()]],
    ['an answer, its end and hooks', [...TURN, says(), end(), of('hook.start'), of('hook.end')]],
    ['an abort', [...TURN, of('abort')]],
    ['an abort in the middle of a tool', [...TURN, wants('c'), begins('c'), of('abort'), end()]],
    ['an error', [...TURN, of('session.error')]],
    ['a task that is complete', [...TURN, of('session.task_complete'), end()]],
    ['a call that the user has rejected', [...TURN, wants('c'), begins('c'), asks('r', 'c'), decided('r', 'denied-interactively-by-user'), ends('c', { code: 'rejected' }), end()]],
  ])('that ends with %s is over', (_, turn) => {
    expect(tail(turn)).toMatchObject({ kind: 'complete', unended: undefined, interrupted: [] });
  });

  it('is over when its server has said that the agent rests', () => {
    expect(tail([...TURN, wants('c'), begins('c'), ends('c'), end()], { rested: true }).kind).toBe('complete');
  });

  it('whose answer is there lacks its end only', () => {
    expect(tail([user(), start('3'), says()])).toMatchObject({ kind: 'complete', unended: '3' });
  });
});

describe('a permission', () => {
  it('that nobody has answered is waited for, and its call is begun again', () => {
    expect(tail(ASKED)).toMatchObject({ kind: 'prompt', waiting: ['r'], interrupted: [], started: ['c'] });
  });

  it('that was given, with the call not through, may have had its effect', () => {
    expect(tail([...ASKED, decided('r')])).toMatchObject({ kind: 'tool', waiting: [], interrupted: [{ toolCallId: 'c' }] });
  });

  it.each([[true], [false]])('that a client has given may have had its effect before that was told (taken: %s)', (taken) => {
    expect(tail(ASKED, answered(taken, true))).toMatchObject({ kind: 'tool', interrupted: [{ toolCallId: 'c' }] });
  });

  it('that a client has refused is refused once more', () => {
    expect(tail(ASKED, answered(true, false))).toMatchObject({ kind: 'prompt', again: ['r'], interrupted: [] });
    expect(tail([...ASKED, decided('r', 'denied-interactively-by-user')], answered(true, false))).toMatchObject({ again: ['r'] });
  });

  it('whose refusal is under way waits for it', () => {
    expect(tail(ASKED, answered(false, false))).toMatchObject({ kind: 'prompt', waiting: ['r'], again: [] });
  });

  it('that a rule has refused is not asked for again', () => {
    expect(tail([...ASKED, decided('r', 'denied-by-rules')])).toMatchObject({ kind: 'tool', interrupted: [{ toolCallId: 'c' }] });
  });

  it('that is for no call is waited for', () => {
    expect(tail([...TURN, of('permission.requested', { requestId: 'r', permissionRequest: { kind: 'url' } })]).waiting).toEqual(['r']);
  });
});

describe('a tool of the client', () => {
  it('whose result nobody has given is waited for', () => {
    expect(tail(CALLED)).toMatchObject({ kind: 'prompt', waiting: ['r'], again: [] });
  });

  it('whose result the server had has it given again', () => {
    expect(tail(CALLED, answered(true, true))).toMatchObject({ kind: 'prompt', again: ['r'], waiting: [] });
    expect(tail([...CALLED, called('r')], answered(true, true))).toMatchObject({ kind: 'prompt', again: ['r'] });
  });

  it('whose result is under way waits for it', () => {
    expect(tail(CALLED, answered(false, true))).toMatchObject({ kind: 'prompt', waiting: ['r'], again: [] });
  });

  it('whose result nobody knows any more counts as interrupted', () => {
    expect(tail([...CALLED, called('r')])).toMatchObject({ kind: 'tool', interrupted: [{ toolCallId: 'c' }] });
  });

  it('that was permitted and handed to the client is the client\'s', () => {
    const turn = [...TURN, wants('c'), begins('c', 'mine'), asks('p', 'c'), decided('p'), calls('r', 'c')];
    expect(tail(turn)).toMatchObject({ kind: 'prompt', waiting: ['r'], interrupted: [] });
  });

  it('counts beside a command that was running', () => {
    const turn = [...TURN, wants('c', 'd'), begins('c'), asks('p', 'c'), decided('p'), begins('d', 'mine'), calls('r', 'd')];
    expect(tail(turn)).toMatchObject({ kind: 'prompt', waiting: ['r'], interrupted: [{ toolCallId: 'c' }] });
  });
});

describe('a call that asked for nothing', () => {
  it('counts as interrupted', () => {
    expect(tail([...TURN, wants('c'), begins('c', 'view')])).toMatchObject({ kind: 'tool', interrupted: [{ toolCallId: 'c' }] });
  });

  it('of ask_user is a question to the user, or the server\'s to end', () => {
    expect(tail([...TURN, wants('c'), begins('c', 'ask_user')])).toMatchObject({ kind: 'model', interrupted: [], questions: [{ toolCallId: 'c' }] });
  });
});

describe('a sub-agent', () => {
  const turn = [
    ...TURN, wants('t'), begins('t', 'task'), of('subagent.started', { toolCallId: 't' }), of('user.message', {}, 'a'),
    begins('c', 'bash', 'a'), asks('r', 'c'),
  ];

  it('has its open calls ended, under its name; the call that runs it is the server\'s to end', () => {
    expect(tail(turn)).toMatchObject({ kind: 'tool', interrupted: [{ toolCallId: 'c', agentId: 'a' }], waiting: [] });
  });

  it('has its permissions withdrawn', () => {
    expect(tail(turn).voided).toEqual([{ requestId: 'r', toolCallId: 'c' }]);
  });

  it('of an earlier turn has its open calls ended, too', () => {
    expect(tail([...turn, ends('t'), end(), ...TURN, says(), end()])).toMatchObject({ kind: 'complete', interrupted: [{ toolCallId: 'c', agentId: 'a' }] });
  });
});

describe('a turn that nobody completes any more', () => {
  it('has all its open calls ended', () => {
    expect(openCalls([...BEFORE, ...ASKED, begins('d', 'mine'), calls('q', 'd')])).toEqual([{ toolCallId: 'c' }, { toolCallId: 'd' }]);
  });

  it('has none when its user has ended it', () => {
    expect(openCalls([...BEFORE, ...ASKED, of('abort'), end()])).toEqual([]);
  });

  it('is in the round that was begun last', () => {
    expect(roundOf([...BEFORE, user(), start('4'), of('assistant.turn_start', { turnId: '9' }, 'a')])).toBe('4');
    expect(roundOf([])).toBe('0');
  });
});
