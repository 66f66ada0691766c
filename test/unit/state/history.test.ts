import { describe, expect, it } from 'vitest';
import { messagesIn, readHistory, unheardIn } from '../../../proxy/state/history.js';

const line = (type: string, data?: object): string => JSON.stringify({ type, data, id: type });

describe('a history', () => {
  it('is an event a line, in order', () => {
    const text = `${line('session.start', {})}\n${line('user.message', { messageId: 'm1' })}\n`;
    const { events, whole } = readHistory(text);
    expect(events.map(({ type }) => type)).toEqual(['session.start', 'user.message']);
    expect(whole).toBe(text);
  });

  it('has no torn last line', () => {
    const text = `${line('session.start')}\n`;
    expect(readHistory(`${text}{"type":"user.mess`)).toEqual({ events: [{ type: 'session.start', id: 'session.start', data: {} }], whole: text });
  });

  it('has a last line that only lacks its end of line', () => {
    const text = `${line('session.start')}\n${line('user.message')}`;
    expect(readHistory(text)).toMatchObject({ events: [{ type: 'session.start' }, { type: 'user.message' }], whole: text });
  });

  it('goes on after blank lines and garbage, which are a server\'s to complain of', () => {
    const text = `${line('a')}\n\nno json\n"text"\n${line('b')}\n`;
    expect(readHistory(text)).toMatchObject({ events: [{ type: 'a' }, { type: 'b' }], whole: text });
  });

  it('is empty at first', () => {
    expect(readHistory('')).toEqual({ events: [], whole: '' });
  });

  it('tells of the messages that have begun, in order', () => {
    const { events } = readHistory([line('user.message', { messageId: 'm1' }), line('user.message', {}), line('user.message', { messageId: 'm2' })].join('\n'));
    expect(messagesIn(events)).toEqual(['m1', 'm2']);
  });

  it('tells which of its events nobody has heard: those after the last one that was', () => {
    const { events } = readHistory(['a', 'b', 'c', 'd'].map((id) => line(id)).join('\n'));
    expect(unheardIn(events, ['z', 'a', 'b']).map(({ id }) => id)).toEqual(['c', 'd']);
    expect(unheardIn(events, ['a', 'd'])).toEqual([]);
    expect(unheardIn(events, ['z'])).toEqual([]);
  });
});
