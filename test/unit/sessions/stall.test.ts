import { describe, expect, it } from 'vitest';
import { Stall } from '../../../proxy/sessions/stall.js';
import { frameOf } from '../../../proxy/wire/frame.js';
import { attach, event, FakeClient, FakeLink, sessionOf, startTurn } from './cast.js';

function see(stall: Stall, type: string, data: object = {}, before = ''): void {
  stall.see(type, frameOf(`{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"s1","event":{"type":"${type}",${before}"data":${JSON.stringify(data)},"id":"e"}}}`));
}

describe('the stillness of a turn', () => {
  it('begins with the first look', () => {
    const stall = new Stall();
    expect([stall.look(5_000, false), stall.look(6_000, false), stall.look(8_000, false)]).toEqual([0, 1_000, 3_000]);
  });

  it('begins anew with each event', () => {
    const stall = new Stall();
    stall.look(0, false);
    see(stall, 'assistant.message_delta');
    expect([stall.look(1_000, false), stall.look(3_000, false)]).toEqual([0, 2_000]);
  });

  it('does not grow while somebody is waited for', () => {
    const stall = new Stall();
    stall.look(0, false);
    expect([stall.look(1_000, true), stall.look(9_000, true), stall.look(10_000, false)]).toEqual([0, 0, 1_000]);
  });

  it.each([
    ['tool.execution_start', 'tool.execution_complete', 'toolCallId'], ['hook.start', 'hook.end', 'hookInvocationId'],
    ['user_input.requested', 'user_input.completed', 'requestId'], ['exit_plan_mode.requested', 'exit_plan_mode.completed', 'requestId'],
    ['auto_mode_switch.requested', 'auto_mode_switch.completed', 'requestId'],
  ])('does not grow between %s and %s', (begin, end, field) => {
    const stall = new Stall();
    see(stall, begin, { [field]: 'a', more: 1 });
    expect([stall.look(0, false), stall.look(60_000, false)]).toEqual([0, 0]);
    see(stall, end, { [field]: 'a' });
    expect([stall.look(61_000, false), stall.look(62_000, false)]).toEqual([0, 1_000]);
  });

  it('does not grow before the last of several tools is through', () => {
    const stall = new Stall();
    for (const toolCallId of ['a', 'b']) see(stall, 'tool.execution_start', { toolCallId });
    see(stall, 'tool.execution_complete', { toolCallId: 'a' });
    stall.look(0, false);
    expect(stall.look(60_000, false)).toBe(0);
  });

  it('knows a tool again of which is told twice', () => {
    const stall = new Stall();
    for (let n = 0; n < 2; n++) see(stall, 'tool.execution_start', { toolCallId: 'a' });
    see(stall, 'tool.execution_complete', { toolCallId: 'a' });
    stall.look(0, false);
    expect(stall.look(1_000, false)).toBe(1_000);
  });

  it('grows while a sub-agent has nothing to tell', () => {
    const stall = new Stall();
    see(stall, 'tool.execution_start', { toolCallId: 'task' });
    see(stall, 'subagent.started', { toolCallId: 'task' });
    stall.look(0, false);
    expect(stall.look(1_000, false)).toBe(1_000);
  });

  it('finds the call wherever its id stands', () => {
    const stall = new Stall();
    see(stall, 'tool.execution_start', { toolName: 'x'.repeat(1_000), toolCallId: 'a' }, '"agentId":"g",');
    stall.look(0, false);
    expect(stall.look(1_000, false)).toBe(0);
    see(stall, 'tool.execution_complete', { success: true, toolCallId: 'a' });
    stall.look(2_000, false);
    expect(stall.look(3_000, false)).toBe(1_000);
  });

  it('grows on when the server sends something else under a tool\'s name', () => {
    const stall = new Stall();
    stall.see('tool.execution_start', frameOf('{"params":{"event":{"type":"tool.execution_start","data":7}}}'));
    stall.look(0, false);
    expect(stall.look(1_000, false)).toBe(1_000);
  });

  it('begins anew with a client\'s abort', () => {
    const stall = new Stall();
    stall.look(0, false);
    stall.abort();
    expect([stall.aborted, stall.look(1_000, false)]).toEqual([true, 0]);
  });
});

describe('a session', () => {
  it('has the stillness of its turn only while one is open', () => {
    const { session } = sessionOf();
    const attachment = attach(session, new FakeLink(), new FakeClient());
    expect(session.stall).toBeUndefined();
    startTurn(session);
    const first = session.stall;
    expect(first).toBeInstanceOf(Stall);
    event(attachment, 'session.idle');
    expect(session.stall).toBeUndefined();
    startTurn(session);
    expect(session.stall).not.toBe(first);
  });

  it('hears every event of its primary attachment as one of the turn', () => {
    const { session } = sessionOf();
    const attachment = attach(session, new FakeLink(), new FakeClient());
    startTurn(session);
    session.stall!.look(0, false);
    event(attachment, 'assistant.streaming_delta');
    expect(session.stall!.look(1_000, false)).toBe(0);
    event(attachment, 'tool.execution_start', { toolCallId: 'a' });
    session.stall!.look(2_000, false);
    expect(session.stall!.look(9_000, false)).toBe(0);
  });
});

describe('a session that was given up while its server kept it', () => {
  it('hears nothing of that before it is attached again', () => {
    const { session } = sessionOf();
    const client = new FakeClient();
    const attachment = attach(session, new FakeLink(), client);
    attachment.onLinkLost();
    session.abandoned = true;
    attachment.take(new FakeLink());
    event(attachment, 'session.idle');
    attachment.attached();
    event(attachment, 'user.message');
    expect(client.events).toEqual(['user.message']);
  });
});
