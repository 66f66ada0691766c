import { beforeEach, describe, expect, it } from 'vitest';
import { Turn } from '../../../proxy/sessions/turn.js';

describe('a turn', () => {
  let now: number;
  let told: string[];
  let turn: Turn;

  beforeEach(() => {
    now = 1_000;
    told = [];
    turn = new Turn({
      opened: () => told.push('opened'),
      closed: (outcome, ms) => told.push(`${outcome} after ${ms} ms`),
    }, () => now);
  });

  it('opens with the send and closes with the session.idle that follows', () => {
    const idles = turn.sent();
    expect(turn.open).toBe(true);
    turn.answered(true, idles);
    turn.seenRunning();
    now += 250;
    turn.seenIdle(false);
    expect(turn.open).toBe(false);
    expect(told).toEqual(['opened', 'idle after 250 ms']);
  });

  it('stays open between the answer to the send and the first event', () => {
    turn.answered(true, turn.sent());
    expect(turn.open).toBe(true);
  });

  it('closes with an error when the send is refused', () => {
    turn.answered(false, turn.sent());
    expect(told).toEqual(['opened', 'error after 0 ms']);
  });

  it('may be over before its send is answered', () => {
    const idles = turn.sent();
    turn.seenRunning();
    turn.seenIdle(false);
    expect(turn.open).toBe(true);
    turn.answered(true, idles);
    expect(told).toEqual(['opened', 'idle after 0 ms']);
  });

  it('opens again when the idle before the answer was an earlier turn\'s', () => {
    const idles = turn.sent();
    turn.seenIdle(false);
    turn.answered(true, idles);
    turn.seenRunning();
    expect(turn.open).toBe(true);
    turn.seenIdle(false);
    expect(told).toEqual(['opened', 'idle after 0 ms', 'opened', 'idle after 0 ms']);
  });

  it('is one for several sends, which a server ends with one idle', () => {
    const sends = [turn.sent(), turn.sent(), turn.sent()];
    for (const idles of sends) turn.answered(true, idles);
    turn.seenRunning();
    turn.seenRunning();
    expect(told).toEqual(['opened']);
    turn.seenIdle(false);
    expect(told).toEqual(['opened', 'idle after 0 ms']);
  });

  it('goes on when one of several sends is refused', () => {
    const [first, second] = [turn.sent(), turn.sent()];
    turn.answered(false, first!);
    turn.answered(true, second!);
    expect(turn.open).toBe(true);
  });

  it('opens by the events of a turn that nobody sent for', () => {
    turn.seenRunning();
    expect(told).toEqual(['opened']);
  });

  it('ends as an error when the session reported one', () => {
    turn.answered(true, turn.sent());
    turn.seenError();
    turn.seenIdle(false);
    expect(told.at(-1)).toBe('error after 0 ms');
  });

  it('does not inherit the error of the turn before', () => {
    turn.answered(true, turn.sent());
    turn.seenError();
    turn.seenIdle(false);
    turn.answered(true, turn.sent());
    turn.seenIdle(false);
    expect(told.at(-1)).toBe('idle after 0 ms');
  });

  it('does not inherit the error of the turn before when its send came before that one\'s idle', () => {
    turn.answered(true, turn.sent());
    turn.seenError();
    const idles = turn.sent();
    turn.seenIdle(false);
    turn.seenRunning();
    turn.answered(true, idles);
    turn.seenIdle(false);
    expect(told).toEqual(['opened', 'idle after 0 ms']);
  });

  it('ends as aborted when the idle says so, whatever went wrong before', () => {
    turn.answered(true, turn.sent());
    turn.seenError();
    turn.seenIdle(true);
    expect(told.at(-1)).toBe('aborted after 0 ms');
  });

  it.each(['backend_lost', 'client_gone'] as const)('can be ended as %s, sends under way included', (outcome) => {
    turn.answered(true, turn.sent());
    turn.sent();
    now += 7;
    turn.end(outcome);
    expect(turn.open).toBe(false);
    expect(told).toEqual(['opened', `${outcome} after 7 ms`]);
  });

  it('is not opened again by the late answer to a send that it was ended over', () => {
    const idles = turn.sent();
    turn.end('client_gone');
    turn.answered(true, idles);
    expect(turn.open).toBe(false);
    expect(told).toEqual(['opened', 'client_gone after 0 ms']);
  });

  it('is ended once', () => {
    turn.sent();
    turn.end('backend_lost');
    turn.end('client_gone');
    expect(told).toHaveLength(2);
  });

  it('that was never open is not ended', () => {
    turn.end('client_gone');
    turn.seenIdle(false);
    expect(told).toEqual([]);
  });
});
