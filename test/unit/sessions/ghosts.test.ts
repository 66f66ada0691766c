import { beforeEach, describe, expect, it } from 'vitest';
import { Ghosts } from '../../../proxy/sessions/ghosts.js';

let ghosts: Ghosts;

beforeEach(() => {
  ghosts = new Ghosts();
});

const line = (type: string, id: string, parentId: string | null, data: object = {}): string => JSON.stringify({ type, data, id, parentId });

const text = (...lines: string[]): string => lines.map((one) => `${one}\n`).join('');

describe('an event that exists only because its session was moved', () => {
  it('does not get into the history, and what follows takes its parent', () => {
    ghosts.expect('session.resume');
    expect(ghosts.strip(text(line('session.resume', 'b', 'a'), line('user.message', 'c', 'b')))).toBe(text(line('user.message', 'c', 'a')));
  });

  it('is missing in no chain, however many follow each other', () => {
    ghosts.expect('hook.start', 'sessionStart resume');
    const start = line('hook.start', 'b', 'a', { hookInvocationId: 'i', hookType: 'sessionStart', input: { source: 'resume' } });
    const end = line('hook.end', 'c', 'b', { hookInvocationId: 'i', hookType: 'sessionStart', success: true });
    expect(ghosts.strip(text(start, end, line('user.message', 'd', 'c')))).toBe(text(line('user.message', 'd', 'a')));
  });

  it('is one: the next of its type stays', () => {
    ghosts.expect('assistant.turn_start');
    const second = line('assistant.turn_start', 'c', 'x');
    expect(ghosts.strip(text(line('assistant.turn_start', 'b', 'a'), second))).toBe(text(second));
  });

  it('is found by what it is about, where others of its type may come', () => {
    ghosts.expect('tool.execution_start', 'call_1');
    const other = line('tool.execution_start', 'b', 'a', { toolCallId: 'call_2' });
    const own = line('tool.execution_start', 'c', 'b', { toolCallId: 'call_1' });
    expect(ghosts.strip(text(other, own, line('x', 'd', 'c')))).toBe(text(other, line('x', 'd', 'b')));
  });

  it('is stripped after it was met live, by the parent that it is stored with', () => {
    ghosts.expect('assistant.turn_start');
    expect(ghosts.meet({ type: 'assistant.turn_start', id: 'c', parentId: 'never stored' })).toBe(true);
    expect(ghosts.strip(text(line('assistant.turn_start', 'c', 'a'), line('x', 'd', 'c')))).toBe(text(line('x', 'd', 'a')));
  });

  it('is met live after it was stripped, and keeps the parent that it was stored with', () => {
    ghosts.expect('assistant.turn_start');
    ghosts.strip(text(line('assistant.turn_start', 'c', 'a')));
    expect(ghosts.meet({ type: 'assistant.turn_start', id: 'c', parentId: 'never stored' })).toBe(true);
    expect(ghosts.strip(text(line('x', 'd', 'c')))).toBe(text(line('x', 'd', 'a')));
  });

  it('is remembered for an append that comes later', () => {
    ghosts.expect('session.shutdown');
    expect(ghosts.strip(text(line('session.shutdown', 'b', 'a')))).toBe('');
    expect(ghosts.strip(text(line('session.resume', 'c', 'b')))).toBe(text(line('session.resume', 'c', 'a')));
  });

  it.each([
    ['forgotten', () => ghosts.forget('session.shutdown')],
    ['of a turn that is over', () => ghosts.rest()],
  ])('is none when it is %s', (_, happen) => {
    ghosts.expect('session.shutdown');
    happen();
    const own = text(line('session.shutdown', 'b', 'a'));
    expect(ghosts.strip(own)).toBe(own);
  });
});

it('what is stored otherwise is left as it is, to the byte', () => {
  ghosts.expect('session.resume');
  const odd = '{ "type":"user.message","data":{"content":"session.resume"} }\nno json\n';
  expect(ghosts.strip(odd)).toBe(odd);
});
