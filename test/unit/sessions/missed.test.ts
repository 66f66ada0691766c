import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Missed, type Backlog } from '../../../proxy/sessions/missed.js';
import type { Session } from '../../../proxy/sessions/session.js';
import { frameOf } from '../../../proxy/wire/frame.js';
import { sessionOf } from './cast.js';

const LATER = Date.now() + 3_600_000;

let session: Session;

beforeEach(() => {
  ({ session } = sessionOf());
});

interface Told {
  readonly type: string;
  readonly id: string;
  readonly data: { readonly [name: string]: unknown };
}

/** Ids tell which is which; 100 bytes or so each. */
function add(backlog: Backlog, id: string, type = 'assistant.message', data: object = {}): void {
  backlog.add(frameOf(JSON.stringify({ jsonrpc: '2.0', method: 'session.event', params: { sessionId: 's1', event: { type, data, id } } })), type);
}

function told(backlog: Backlog | undefined): Told[] {
  return [...(backlog?.take() ?? [])].map(({ buffer, body, end }) => {
    return (JSON.parse(buffer.toString('utf8', body, end)) as { params: { event: Told } }).params.event;
  });
}

const ids = (backlog: Backlog | undefined): string[] => told(backlog).map(({ id }) => id);

/** Bounds that only the one of interest can reach. */
const bounded = (bounds: { bytes?: number; events?: number; total?: number }) => new Missed({ bytes: 1e9, events: 1e9, total: 1e9, ...bounds });

const numbered = (count: number, prefix = 'e'): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

describe('a backlog', () => {
  it('gives its events in the order they came, once', () => {
    const backlog = new Missed().open(session, 'alice');
    for (const id of ['a', 'b', 'c']) add(backlog, id);
    expect(ids(backlog)).toEqual(['a', 'b', 'c']);
    expect([ids(backlog), backlog.empty]).toEqual([[], true]);
  });

  it('has copies: the bytes that an event came in are used again', () => {
    const backlog = new Missed().open(session, 'alice');
    const frame = frameOf('{"method":"session.event"}');
    backlog.add(frame, 'assistant.message');
    frame.buffer.fill(0);
    const [copy] = backlog.take();
    expect(copy!.buffer.toString('latin1', copy!.start, copy!.end)).toBe('Content-Length: 26\r\n\r\n{"method":"session.event"}');
  });

  it('that nobody takes to the end has the rest for the next', () => {
    const backlog = new Missed().open(session, 'alice');
    for (const id of ['a', 'b', 'c']) add(backlog, id);
    for (const frame of backlog.take()) if (frame.end > 0) break;
    expect(ids(backlog)).toEqual(['b', 'c']);
  });

  it('leaves out a prompt that was answered meanwhile, but not the news of that', () => {
    const backlog = new Missed().open(session, 'alice');
    add(backlog, 'asked', 'permission.requested', { requestId: 'r1' });
    add(backlog, 'open', 'permission.requested', { requestId: 'r2' });
    add(backlog, 'answered', 'permission.completed', { requestId: 'r1' });
    expect([backlog.asks('r1'), backlog.asks('r2')]).toEqual([false, true]);
    expect(ids(backlog)).toEqual(['open', 'answered']);
  });

  it('leaves out every prompt once its turn is over', () => {
    const missed = new Missed();
    const backlog = missed.open(session, 'alice');
    add(backlog, 'call', 'external_tool.requested', { requestId: 'r1' });
    add(backlog, 'idle', 'session.idle');
    missed.keep(backlog, LATER);
    expect(ids(missed.take(session, 'alice'))).toEqual(['idle']);
  });
});

describe('a backlog that is full', () => {
  it('lets the oldest deltas go, and nothing else as long as that is enough', () => {
    const backlog = bounded({ events: 8 }).open(session, 'alice');
    add(backlog, 'first');
    for (const id of numbered(6, 'd')) add(backlog, id, 'assistant.message_delta');
    add(backlog, 'last');
    add(backlog, 'one more');
    expect(ids(backlog)).toEqual(['first', 'd3', 'd4', 'd5', 'last', 'one more']);
  });

  it('lets the oldest events go when there are no deltas, and says how many', () => {
    const backlog = bounded({ events: 4 }).open(session, 'alice');
    for (const id of numbered(5)) add(backlog, id);
    const [notice, ...rest] = told(backlog);
    expect(notice).toMatchObject({ type: 'session.warning', data: { warningType: 'events_missed', message: expect.stringMatching(/^2 events /) } });
    expect(rest.map(({ id }) => id)).toEqual(['e2', 'e3', 'e4']);
  });

  it('is so by its bytes, too', () => {
    const missed = bounded({ bytes: 2_000 });
    const backlog = missed.open(session, 'alice');
    for (const id of numbered(100)) add(backlog, id);
    expect(missed.bytes).toBeLessThanOrEqual(2_000);
    expect(ids(backlog).at(-1)).toBe('e99');
  });

  it('has no place for an event that is larger than all of it', () => {
    const backlog = bounded({ bytes: 2_000 }).open(session, 'alice');
    add(backlog, 'huge', 'tool.execution_complete', { result: 'x'.repeat(3_000) });
    add(backlog, 'small');
    expect(told(backlog).map(({ type }) => type)).toEqual(['session.warning', 'assistant.message']);
  });

  it('does not tell of a prompt any more that it has let go: it is put again from elsewhere', () => {
    const backlog = bounded({ events: 2 }).open(session, 'alice');
    add(backlog, 'asked', 'permission.requested', { requestId: 'r1' });
    add(backlog, 'a');
    add(backlog, 'b');
    expect(backlog.asks('r1')).toBe(false);
  });
});

describe('all backlogs together', () => {
  it('lose their deltas first, those of the oldest before the others', () => {
    const missed = bounded({ total: 10_000 });
    const [old, young] = [missed.open(session, 'alice'), missed.open(sessionOf('s2').session, 'bob')];
    add(old, 'kept');
    for (const id of numbered(15, 'o')) add(old, id, 'assistant.message_delta');
    for (const id of numbered(30, 'y')) add(young, id, 'assistant.message_delta');
    expect(ids(old)).toEqual(['kept']);
    expect(ids(young).at(-1)).toBe('y29');
    expect(missed.bytes).toBe(0);
  });

  it('never take more than they may, whatever comes, and those that are full say so', () => {
    fc.assert(fc.property(fc.array(fc.record({ of: fc.nat(3), size: fc.nat(900), delta: fc.boolean() }), { maxLength: 60 }), (events) => {
      const missed = new Missed({ bytes: 3_000, events: 10, total: 6_000 });
      const backlogs = numbered(4).map((id) => missed.open(sessionOf(id).session, 'alice'));
      const sent = backlogs.map((): string[] => []);
      events.forEach(({ of, size, delta }, n) => {
        add(backlogs[of]!, `e${n}`, delta ? 'assistant.message_delta' : 'assistant.message', { text: 'x'.repeat(size) });
        if (!delta) sent[of]!.push(`e${n}`);
        expect(missed.bytes).toBeLessThanOrEqual(6_000);
      });
      backlogs.forEach((backlog, index) => {
        const all = told(backlog);
        const numbers = all.filter(({ type }) => type !== 'session.warning').map(({ id }) => Number(id.slice(1)));
        expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
        const whole = all.filter(({ type }) => type === 'assistant.message').length;
        const [notice] = all.filter(({ type }) => type === 'session.warning');
        expect(whole + Number(/^\d+/.exec(String(notice?.data['message'] ?? '0'))![0])).toBe(sent[index]!.length);
      });
      expect(missed.bytes).toBe(0);
    }), { numRuns: 200 });
  });
});

describe('what is kept of a turn that is over', () => {
  let missed: Missed;

  function keep(user: string, id: string, until = LATER, of = session): void {
    const backlog = missed.open(of, user);
    add(backlog, id);
    missed.keep(backlog, until);
  }

  beforeEach(() => {
    missed = new Missed();
  });

  it('is the same user\'s, once', () => {
    keep('alice', 'hers');
    expect(missed.take(session, 'bob')).toBeUndefined();
    expect(ids(missed.take(session, 'alice'))).toEqual(['hers']);
    expect(missed.take(session, 'alice')).toBeUndefined();
  });

  it('is that of one session, and of one user of several', () => {
    const { session: another } = sessionOf('s2');
    keep('alice', 'first');
    keep('bob', 'his');
    keep('alice', 'second', LATER, another);
    expect([ids(missed.take(another, 'alice')), ids(missed.take(session, 'bob')), ids(missed.take(session, 'alice'))]).toEqual([['second'], ['his'], ['first']]);
  });

  it('is only the last turn\'s: before it is a hole', () => {
    keep('alice', 'old');
    keep('alice', 'new');
    expect(ids(missed.take(session, 'alice'))).toEqual(['new']);
    expect(missed.bytes).toBe(0);
  });

  it('is nothing when nothing was missed', () => {
    missed.keep(missed.open(session, 'alice'), LATER);
    expect(missed.take(session, 'alice')).toBeUndefined();
  });

  it('is nobody\'s after its time, also before the janitor has come', () => {
    keep('alice', 'late', Date.now() - 1);
    expect([missed.take(session, 'alice'), missed.bytes]).toEqual([undefined, 0]);
  });

  it('is swept when its time is over, and not before', () => {
    keep('alice', 'a', LATER);
    keep('bob', 'b', LATER + 10);
    missed.sweep(LATER - 1);
    expect(missed.bytes).toBeGreaterThan(0);
    missed.sweep(LATER);
    expect(missed.take(session, 'alice')).toBeUndefined();
    expect(ids(missed.take(session, 'bob'))).toEqual(['b']);
  });

  it('is swept with a session that was deleted', () => {
    keep('alice', 'a');
    session.deleted = true;
    missed.sweep(0);
    expect(missed.bytes).toBe(0);
  });
});
