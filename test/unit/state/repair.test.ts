import { describe, expect, it } from 'vitest';
import { readHistory } from '../../../proxy/state/history.js';
import { abortion, completed, extended, interruption, linesAfter, turnEnd, withdrawal, withoutAnswers } from '../../../proxy/state/repair.js';

const line = (type: string, id: string, parentId: string | null, data: object = {}): string => JSON.stringify({ type, data, id, timestamp: 't', parentId });
const text = (...lines: string[]): string => lines.map((one) => `${one}\n`).join('');

const START = line('session.start', 'a', null);
const USER = line('user.message', 'b', 'a');

/** The ids, each with its parent. */
const chain = (history: string): string[] =>
  history.trim().split('\n').map((one) => JSON.parse(one) as { id: string; parentId: string | null }).map(({ id, parentId }) => `${parentId} ${id}`);

describe('a history that is completed', () => {
  it('has what was missing at its end', () => {
    const { text: all, events } = completed(text(START), () => [USER]);
    expect(all).toBe(text(START, USER));
    expect(events.map(({ id }) => id)).toEqual(['a', 'b']);
  });

  it('tells what it has, and which agents have a system message', () => {
    const own = text(START, line('system.message', 's', 'a'), JSON.stringify({ type: 'system.message', data: {}, id: 's2', agentId: 'sub' }));
    completed(own, (known, prompted) => {
      expect([[...known], [...prompted]]).toEqual([['a', 's', 's2'], ['', 'sub']]);
      return [];
    });
  });

  it('loses a torn last line', () => {
    expect(completed(`${text(START)}{"type":"user.me`, () => [USER]).text).toBe(text(START, USER));
  });

  it('gets an end of line where one was missing', () => {
    expect(completed(START, () => [USER]).text).toBe(text(START, USER));
  });

  it('is the same, to the byte, when nothing is missing', () => {
    expect(completed(text(START, USER), () => []).text).toBe(text(START, USER));
  });

  it('begins with what was missing when there was none', () => {
    expect(completed('', () => [START, USER]).text).toBe(text(START, USER));
  });

  it('has no hole in its chain, whatever the missing lines name as their parents', () => {
    const added = [line('assistant.turn_start', 'c', 'a system message that is not stored'), line('assistant.message', 'd', 'c')];
    expect(chain(completed(text(START, USER), () => added).text)).toEqual(['null a', 'a b', 'b c', 'c d']);
  });
});

describe('a history without the note that a prompt was answered', () => {
  const history = readHistory(text(
    START, line('external_tool.requested', 'r', 'a', { requestId: '1' }), line('external_tool.completed', 'c', 'r', { requestId: '1' }),
    line('permission.completed', 'p', 'c', { requestId: '2' }), line('tool.execution_start', 't', 'p'),
  ));
  const own = { events: history.events, text: history.whole };

  it('lacks that line, and what followed it follows the one before', () => {
    expect(chain(withoutAnswers(own, ['1']).text)).toEqual(['null a', 'a r', 'r p', 'p t']);
    expect(chain(withoutAnswers(own, ['1', '2']).text)).toEqual(['null a', 'a r', 'r t']);
  });

  it('is the same when no prompt is named', () => {
    expect(withoutAnswers(own, [])).toBe(own);
  });

  it('keeps garbage as it is', () => {
    const garbage = { events: [], text: 'no json\n' };
    expect(withoutAnswers(garbage, ['1']).text).toBe('no json\n');
  });
});

describe('what is added', () => {
  const own = completed(text(START, USER), () => []);

  it('follows what is there, one after the other', () => {
    const lines = linesAfter(own, [interruption({ toolCallId: 'c1' }), turnEnd('2')]);
    const [first, second] = lines.map((one) => JSON.parse(one) as { id: string; parentId: string });
    expect(first!.parentId).toBe('b');
    expect(second!.parentId).toBe(first!.id);
    expect(extended(own, lines).text).toBe(text(START, USER, ...lines));
  });

  it('ends a call as the runtime does, under its agent\'s name', () => {
    const [added] = linesAfter(own, [interruption({ toolCallId: 'c1', agentId: 'sub' })]);
    expect(JSON.parse(added!)).toMatchObject({
      type: 'tool.execution_complete', agentId: 'sub',
      data: {
        toolCallId: 'c1', success: false, model: 'resumed', interactionId: 'resume',
        error: { message: 'The execution of this tool, or a previous tool was interrupted.', code: 'interrupted' },
      },
    });
  });

  it('ends a turn as the runtime does when its user has aborted it', () => {
    expect(abortion('1')).toEqual([
      { type: 'abort', data: { reason: 'user_initiated' } }, { type: 'assistant.turn_end', data: { turnId: '1' } },
    ]);
  });

  it('withdraws a permission as the runtime does', () => {
    expect(withdrawal({ requestId: 'r', toolCallId: 'c' })).toEqual({
      type: 'permission.completed', data: { requestId: 'r', toolCallId: 'c', result: { kind: 'cancelled', reason: 'Session resumed' } },
    });
  });
});
