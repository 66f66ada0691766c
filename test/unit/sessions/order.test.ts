import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WriteOrder, type OrderKind, type Ticket } from '../../../proxy/sessions/order.js';

/** A line whose tickets are named; `started` has the names in the order they started. */
class Line {
  readonly order = new WriteOrder();
  readonly started: string[] = [];
  private readonly tickets = new Map<string, Ticket>();

  enter(kind: OrderKind, name: string): this {
    this.tickets.set(name, this.order.enter(kind, () => this.started.push(name)));
    return this;
  }

  leave(name: string): this {
    this.order.leave(this.tickets.get(name)!);
    return this;
  }
}

describe('a call behind another that runs', () => {
  const combinations: [OrderKind, OrderKind, 'waits' | 'starts at once'][] = [
    ['write', 'write', 'waits'],
    ['write', 'long', 'waits'],
    ['write', 'interrupt', 'waits'],
    ['long', 'write', 'starts at once'],
    ['long', 'long', 'starts at once'],
    ['long', 'interrupt', 'starts at once'],
    ['interrupt', 'write', 'waits'],
    ['interrupt', 'long', 'waits'],
    ['interrupt', 'interrupt', 'starts at once'],
  ];
  it.each(combinations)('%s, then %s: the second %s', (first, second, outcome) => {
    const line = new Line().enter(first, 'first').enter(second, 'second');
    expect(line.started).toEqual(outcome === 'waits' ? ['first'] : ['first', 'second']);
    line.leave('first');
    expect(line.started).toEqual(['first', 'second']);
    line.leave('second');
    expect(line.order.length).toBe(0);
  });
});

describe('the order of writes', () => {
  it('starts the first at once', () => {
    expect(new Line().enter('write', 'a').started).toEqual(['a']);
  });

  it('is that of arrival', () => {
    const line = new Line().enter('write', 'a').enter('write', 'b').enter('write', 'c');
    line.leave('a').leave('b').leave('c');
    expect(line.started).toEqual(['a', 'b', 'c']);
  });

  it('lets an interrupt pass a long call that waits, but no write', () => {
    const line = new Line().enter('interrupt', 'first').enter('long', 'long').enter('interrupt', 'abort');
    expect(line.started).toEqual(['first', 'abort']);
    line.enter('write', 'send').enter('interrupt', 'later');
    line.leave('first').leave('abort');
    expect(line.started).toEqual(['first', 'abort', 'long', 'send']);
    line.leave('send');
    expect(line.started.at(-1)).toBe('later');
  });

  it('is not held up by a long call that never ends', () => {
    const line = new Line().enter('long', 'for ever').enter('write', 'a').enter('write', 'b');
    line.leave('a').leave('b');
    expect(line.started).toEqual(['for ever', 'a', 'b']);
    expect(line.order.length).toBe(0);
  });

  it('goes on when a call that waits is given up', () => {
    const line = new Line().enter('write', 'a').enter('write', 'given up').enter('write', 'c');
    line.leave('given up').leave('a');
    expect(line.started).toEqual(['a', 'c']);
  });

  it('does not start a call that was given up while it waited', () => {
    const line = new Line().enter('write', 'a').enter('write', 'b');
    line.leave('b').leave('a');
    expect(line.started).toEqual(['a']);
    expect(line.order.length).toBe(0);
  });

  it('takes a second leave for nothing', () => {
    const line = new Line().enter('write', 'a').enter('write', 'b').enter('write', 'c');
    line.leave('a').leave('a').leave('a');
    expect(line.started).toEqual(['a', 'b']);
  });

  it('takes a call that enters from within another\'s start', () => {
    const order = new WriteOrder();
    const started: string[] = [];
    const first = order.enter('write', () => {
      started.push('outer');
      order.enter('write', () => started.push('inner'));
    });
    expect(started).toEqual(['outer']);
    order.leave(first);
    expect(started).toEqual(['outer', 'inner']);
  });

  it('lets a call leave from within its own start', () => {
    const order = new WriteOrder();
    const started: number[] = [];
    const first = order.enter('write', () => started.push(0));
    const tickets = [first];
    for (let n = 1; n <= 3; n++) {
      tickets.push(order.enter('write', () => {
        started.push(n);
        order.leave(tickets[n]!);
      }));
    }
    order.leave(first);
    expect(started).toEqual([0, 1, 2, 3]);
    expect(order.length).toBe(0);
  });

  it('can end five thousand waiting calls at once', () => {
    const order = new WriteOrder();
    const first = order.enter('write', () => undefined);
    let ended = 0;
    const tickets: Ticket[] = [];
    for (let n = 0; n < 5_000; n++) {
      tickets.push(order.enter('write', () => {
        ended++;
        order.leave(tickets[n]!);
      }));
    }
    order.leave(first);
    expect(ended).toBe(5_000);
  });
});

/** What a session's callers do: enter a call, or end the n-th one that is still there, running or not. */
type Step = { readonly enter: OrderKind } | { readonly end: number };

const steps = fc.array(fc.oneof(
  { weight: 3, arbitrary: fc.record({ enter: fc.constantFrom<OrderKind>('write', 'long', 'interrupt') }) },
  { weight: 2, arbitrary: fc.record({ end: fc.nat(20) }) },
), { maxLength: 60 });

interface Call {
  readonly number: number;
  readonly kind: OrderKind;
  ticket: Ticket | undefined;
  starts: number;
}

/** Plays the steps, looking at all calls after each; gives the calls in order of arrival and the starts in theirs. */
function play(script: readonly Step[], look: (calls: readonly Call[]) => void): { order: WriteOrder; calls: Call[]; starts: Call[] } {
  const order = new WriteOrder();
  const calls: Call[] = [];
  const starts: Call[] = [];
  for (const step of script) {
    if ('enter' in step) {
      const call: Call = { number: calls.length, kind: step.enter, ticket: undefined, starts: 0 };
      calls.push(call);
      call.ticket = order.enter(step.enter, () => {
        call.starts++;
        starts.push(call);
      });
    } else {
      const there = calls.filter(({ ticket }) => ticket!.state !== 'done');
      if (there.length > 0) order.leave(there[step.end % there.length]!.ticket!);
    }
    look(calls);
  }
  return { order, calls, starts };
}

describe('whatever callers do', () => {
  const running = (calls: readonly Call[]): Call[] => calls.filter(({ ticket }) => ticket!.state === 'running');

  it('two writes never run at once, and nothing that came later runs beside a write', () => {
    fc.assert(fc.property(steps, (script) => {
      play(script, (calls) => {
        const now = running(calls);
        const write = now.find(({ kind }) => kind === 'write');
        if (write) expect(now.filter(({ number }) => number > write.number)).toEqual([]);
        expect(now.filter(({ kind }) => kind === 'write').length).toBeLessThanOrEqual(1);
      });
    }));
  });

  it('writes and long calls start in the order they came', () => {
    fc.assert(fc.property(steps, (script) => {
      const { starts } = play(script, () => undefined);
      const numbers = starts.filter(({ kind }) => kind !== 'interrupt').map(({ number }) => number);
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    }));
  });

  it('an interrupt waits for nothing but earlier writes', () => {
    fc.assert(fc.property(steps, (script) => {
      play(script, (calls) => {
        for (const one of calls) {
          if (one.kind !== 'interrupt' || one.ticket!.state !== 'waiting') continue;
          const earlier = calls.filter(({ number, kind, ticket }) => number < one.number && kind === 'write' && ticket!.state !== 'done');
          expect(earlier).not.toEqual([]);
        }
      });
    }));
  });

  it('everything starts once, unless it was given up, when what runs ends', () => {
    fc.assert(fc.property(steps, (script) => {
      const { order, calls } = play(script, () => undefined);
      const givenUp = calls.filter(({ ticket, starts }) => ticket!.state === 'done' && starts === 0);
      for (let now = running(calls); now.length > 0; now = running(calls)) for (const { ticket } of now) order.leave(ticket!);
      expect(calls.filter(({ starts }) => starts !== 1)).toEqual(givenUp);
      expect(order.length).toBe(0);
    }));
  });
});
