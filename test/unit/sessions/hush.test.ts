import { beforeEach, describe, expect, it } from 'vitest';
import { Hush } from '../../../proxy/sessions/hush.js';
import { frameOf } from '../../../proxy/wire/frame.js';

let hush: Hush;

beforeEach(() => {
  hush = new Hush();
});

function hides(type: string, data: object = {}): boolean {
  return hush.hides(type, frameOf(JSON.stringify({ jsonrpc: '2.0', method: 'session.event', params: { sessionId: 's', event: { type, data, id: 'e' } } })));
}

const asked = (hookType: string, source?: string): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'hooks.invoke', params: { sessionId: 's', hookType, input: { source } } });

describe('a client whose session was loaded behind its back', () => {
  it('does not hear of that', () => {
    hush.begin();
    expect(['session.resume', 'session.tools_updated', 'session.skills_loaded', 'capabilities.changed'].map((type) => hides(type))).toEqual([true, true, true, true]);
  });

  it('hears of everything else', () => {
    hush.begin();
    expect(['user.message', 'assistant.turn_start', 'tool.execution_start', 'session.error'].map((type) => hides(type))).toEqual([false, false, false, false]);
  });

  it('does not hear again what it has had of its turn', () => {
    hush.begin({ types: ['system.message', 'assistant.turn_start'], calls: ['call_1'] });
    expect([hides('system.message'), hides('assistant.turn_start')]).toEqual([true, true]);
    expect([hides('tool.execution_start', { toolCallId: 'call_2' }), hides('tool.execution_start', { toolCallId: 'call_1' })]).toEqual([false, true]);
  });

  it('hears each of them when it comes once more', () => {
    hush.begin({ types: ['assistant.turn_start'], calls: [] });
    expect([hides('assistant.turn_start'), hides('assistant.turn_start')]).toEqual([true, false]);
  });

  it('hears everything from the end of its turn on, and the end itself', () => {
    hush.begin({ types: ['assistant.turn_start'], calls: [] });
    expect([hides('session.idle'), hides('assistant.turn_start'), hides('session.resume')]).toEqual([false, false, false]);
  });

  it('does not hear of the hook of a session\'s start, which is answered for it', () => {
    hush.begin();
    expect(hush.answers('hooks.invoke', asked('sessionStart', 'resume'))).toBe(true);
    expect(hides('hook.start', { hookInvocationId: 'i', hookType: 'sessionStart', input: { source: 'resume' } })).toBe(true);
    expect(hides('hook.end', { hookInvocationId: 'i', hookType: 'sessionStart' })).toBe(true);
  });

  it('is asked every other hook, and hears of it', () => {
    hush.begin();
    expect(hush.answers('hooks.invoke', asked('sessionStart', 'new'))).toBe(false);
    expect(hush.answers('hooks.invoke', asked('preToolUse'))).toBe(false);
    expect(hush.answers('userInput.request', asked('sessionStart', 'resume'))).toBe(false);
    expect(hides('hook.start', { hookInvocationId: 'i', hookType: 'preToolUse', input: {} })).toBe(false);
    expect(hides('hook.end', { hookInvocationId: 'i', hookType: 'preToolUse' })).toBe(false);
  });
});

it('a client that has resumed its session itself hears all of it, and is asked its hooks', () => {
  expect([hides('session.resume'), hush.answers('hooks.invoke', asked('sessionStart', 'resume'))]).toEqual([false, false]);
});
