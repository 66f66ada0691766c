import { beforeEach, describe, expect, it } from 'vitest';
import { LeftSessions } from '../../../proxy/backends/left-sessions.js';
import { refuse, type Refusal } from '../../../proxy/protocol/errors.js';
import type { Answer } from '../../../proxy/sessions/attachment.js';

const NOT_FOUND: Answer = { ok: false, error: { code: -32603, message: 'Session not found for sessionId: a' } };

let now = 0;
let loaded: Set<string>;
let calls: string[];
let left: LeftSessions;

beforeEach(() => {
  now = 0;
  loaded = new Set();
  calls = [];
  left = new LeftSessions((method, params) => {
    const { sessionId } = params as { sessionId: string };
    calls.push(`${method} ${sessionId}`);
    if (method === 'sessions.close') loaded.delete(sessionId);
    const answer: Answer | Refusal = method !== 'session.metadata.activity' || loaded.has(sessionId) ? { ok: true, result: {} } : NOT_FOUND;
    return Promise.resolve(answer);
  }, () => now);
});

describe('a session that a server was left alone with', () => {
  it('may not come back before the server has let go of it and had the time to store what it still had', async () => {
    left.add(['a']);
    now = 60_000;
    expect(left.mayTake('a')).toBe(false);
    expect(await left.check()).toBe(0);
    now += 2_999;
    expect(left.mayTake('a')).toBe(false);
    now += 1;
    expect(left.mayTake('a')).toBe(true);
  });

  it('is asked about when somebody wants it back', async () => {
    left.add(['a']);
    expect(left.mayTake('a')).toBe(false);
    await new Promise((resolve) => { setImmediate(resolve); });
    expect(calls).toEqual(['session.metadata.activity a']);
    now = 3_000;
    expect(left.mayTake('a')).toBe(true);
  });

  it('makes the server useless when it does not let go of what another Skyport has', async () => {
    let stuck = 0;
    const stubborn = new LeftSessions(() => Promise.resolve<Answer>({ ok: true, result: {} }), () => (now += 2_500), () => stuck++);
    stubborn.add(['a'], true);
    expect([await stubborn.hasUnloaded('a'), stuck]).toEqual([false, 1]);
    expect([await stubborn.hasUnloaded('a'), stuck]).toEqual([false, 1]);
  });

  it('is closed where the server still has it', async () => {
    loaded.add('a');
    left.add(['a', 'b']);
    expect(await left.check()).toBe(1);
    expect(calls).toContain('sessions.close a');
    expect(await left.check()).toBe(0);
  });

  it('is waited for by who loads it again right there', async () => {
    loaded.add('a');
    left.add(['a']);
    setTimeout(() => loaded.delete('a'), 40);
    expect(await left.hasUnloaded('a')).toBe(true);
    expect(calls.length).toBeGreaterThan(1);
  });

  it('is given up on when the server does not let go of it', async () => {
    loaded.add('a');
    left.add(['a']);
    const waited = left.hasUnloaded('a');
    now = 5_000;
    expect(await waited).toBe(false);
  });

  it('is of no matter when the process is another one', () => {
    left.add(['a']);
    left.clear();
    expect(left.mayTake('a')).toBe(true);
  });

  it('is not known to be gone when the server does not answer, but nobody waits for that', async () => {
    const silent = new LeftSessions(() => Promise.resolve(refuse('SKYPORT_BACKEND_LOST')));
    silent.add(['a']);
    expect([await silent.check(), await silent.hasUnloaded('a'), silent.mayTake('a')]).toEqual([1, true, false]);
  });
});

it('a session that the server never lost may be given to it, and nobody is asked', async () => {
  expect([left.mayTake('a'), await left.hasUnloaded('a'), calls]).toEqual([true, true, []]);
});
