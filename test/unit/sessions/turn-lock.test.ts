import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { MOST_WAITING, TurnLock, type NoTurn, type TurnSend, type Writer } from '../../../proxy/sessions/turn-lock.js';
import { LocalTurnQueue, type TurnQueue, type TurnTicket } from '../../../proxy/sessions/turn-queue.js';
import type { Session } from '../../../proxy/sessions/session.js';
import { attach, event, FakeClient, FakeLink, sessionOf, settled, startTurn } from './cast.js';

/** A client that writes, with what became of each of its sends. */
class Author extends FakeClient implements Writer {
  closed = false;
  constructor(id: number, readonly user: string) {
    super(id);
  }

  userOn(): string {
    return this.user;
  }
}

interface Told {
  readonly send: TurnSend;
  readonly places: [number, string][];
  went: boolean;
  refusal: [NoTurn, string] | undefined;
}

let session: Session;
let lock: TurnLock;

beforeEach(() => {
  session = sessionOf().session;
  lock = session.turnLock = new TurnLock(session);
});

/** A send that ends by itself when it is refused, as a request does. */
function send(author: Author, { reject = false, now = 0, on = lock } = {}): Told {
  const told: Told = {
    places: [], went: false, refusal: undefined,
    send: {
      go: () => (told.went = true),
      moved: (place, heldBy) => told.places.push([place, heldBy]),
      refused: (reason, heldBy) => {
        told.refusal = [reason, heldBy];
        on.ended(told.send, false);
      },
    },
  };
  on.acquire(author, told.send, { reject, now });
  return told;
}

/** Begins the author's turn and leaves it running. */
function begins(author: Author): Told {
  const told = send(author);
  startTurn(session);
  lock.ended(told.send, true);
  return told;
}

async function turnEnds(): Promise<void> {
  session.turn.seenIdle(false);
  await settled();
}

const alice = () => new Author(1, 'alice');
const bob = () => new Author(2, 'bob');
const carol = () => new Author(3, 'carol');

describe('the holder of the turn lock', () => {
  it('goes on at once, and so does what it sends during its turn', () => {
    const one = alice();
    begins(one);
    expect(send(one).went).toBe(true);
  });

  it('keeps it while a send of it is unanswered, also when no turn is open', async () => {
    const first = send(alice());
    const second = send(bob());
    await turnEnds();
    expect([first.went, second.went]).toEqual([true, false]);
    lock.ended(first.send, false);
    expect(second.went).toBe(true);
  });

  it('keeps it when its client is gone and its turn is held, until that is over', async () => {
    const author = alice();
    const attachment = attach(session, new FakeLink(), author);
    begins(author);
    const waiting = send(bob());
    author.closed = true;
    attachment.vanished(0, 1_000, []);
    lock.tick(1, 1_000);
    await settled();
    expect([attachment.state, waiting.went]).toEqual(['held', false]);
    await attachment.release();
    await settled();
    expect(waiting.went).toBe(true);
  });

  it('is the client that takes its held turn over', () => {
    const author = alice();
    const attachment = attach(session, new FakeLink(), author);
    begins(author);
    author.closed = true;
    attachment.vanished(0, 1_000, []);
    const again = new Author(4, 'alice');
    attachment.adopt(again);
    expect(send(again).went).toBe(true);
  });

  it('loses it when its client is gone and the turn goes on for others', async () => {
    const [one, two] = [alice(), bob()];
    const attachment = attach(session, new FakeLink(), one);
    attach(session, new FakeLink(), two);
    begins(one);
    const waiting = send(two);
    one.closed = true;
    attachment.vanished(0, 1_000, []);
    await settled();
    expect([session.turn.open, waiting.went]).toEqual([true, true]);
  });

  it('loses it when it detaches', async () => {
    const [one, two] = [alice(), bob()];
    const attachment = attach(session, new FakeLink(), one);
    attach(session, new FakeLink(), two);
    begins(one);
    const waiting = send(two);
    attachment.gone();
    await settled();
    expect(waiting.went).toBe(true);
  });

  it('keeps it while its server is lost', async () => {
    const author = alice();
    const link = new FakeLink();
    const attachment = attach(session, link, author);
    begins(author);
    attachment.state = 'lost';
    attachment.link = undefined;
    const waiting = send(bob());
    lock.tick(1, 1_000);
    await settled();
    expect(waiting.went).toBe(false);
  });

  it('that was never attached loses it when its client is gone', () => {
    const author = alice();
    begins(author);
    const waiting = send(bob());
    author.closed = true;
    lock.tick(1, 1_000);
    expect(waiting.went).toBe(true);
  });

  it('whose link has seen the end of its turn before the primary\'s comes after those who wait', async () => {
    const [one, two] = [alice(), bob()];
    const [primary, other] = [attach(session, new FakeLink(), one), attach(session, new FakeLink(), two)];
    begins(two);
    const waiting = send(one);
    event(other!, 'session.idle', {}, 'idle-1');
    const next = send(two);
    event(primary!, 'session.idle', {}, 'idle-1');
    await settled();
    expect([waiting.went, next.went]).toEqual([true, false]);
    expect(next.places).toEqual([[1, 'alice']]);
  });

  it('keeps it while the idle before its answer may have been an earlier turn\'s', async () => {
    const one = alice();
    const first = send(one);
    const waiting = send(bob());
    const mark = session.turn.sent();
    session.turn.seenIdle(false);
    session.turn.answered(true, mark);
    lock.ended(first.send, true);
    await settled();
    expect(waiting.went).toBe(false);
    session.turn.seenRunning();
    lock.tick(1, 1_000);
    lock.tick(2, 1_000);
    expect(waiting.went).toBe(false);
    await turnEnds();
    expect(waiting.went).toBe(true);
  });

  it('loses it when such a turn is not seen to open in two rounds of the janitor', async () => {
    const first = send(alice());
    const waiting = send(bob());
    const mark = session.turn.sent();
    session.turn.seenIdle(false);
    session.turn.answered(true, mark);
    lock.ended(first.send, true);
    lock.tick(1, 1_000);
    expect(waiting.went).toBe(false);
    lock.tick(2, 1_000);
    expect(waiting.went).toBe(true);
  });

  it('loses it at once when the answer itself says that the turn is over', () => {
    const first = send(alice());
    const waiting = send(bob());
    lock.ended(first.send, true, true);
    expect(waiting.went).toBe(true);
  });

  it('does not lose it by time', () => {
    begins(alice());
    lock.tick(1e12, Infinity);
    expect(send(bob()).went).toBe(false);
  });
});

describe('a message that was waiting', () => {
  it('goes on when its client takes over the held turn that it waits for', () => {
    const author = alice();
    const attachment = attach(session, new FakeLink(), author);
    begins(author);
    author.closed = true;
    attachment.vanished(0, 1_000, []);
    const again = new Author(4, 'alice');
    const early = send(again);
    attachment.adopt(again);
    lock.tick(1, 1_000);
    expect(early.went).toBe(true);
    expect(send(bob()).places).toEqual([[1, 'alice']]);
  });
});

describe('a turn that nobody\'s send began', () => {
  it('keeps nobody from sending, and is the sender\'s from then on', () => {
    session.turn.seenRunning();
    expect(send(alice()).went).toBe(true);
    expect(send(bob()).went).toBe(false);
  });
});

describe('a client that waits', () => {
  it('has its turn in order of arrival, one at a time', async () => {
    begins(alice());
    const [second, third] = [send(bob()), send(carol())];
    await turnEnds();
    expect([second.went, third.went]).toEqual([true, false]);
    startTurn(session);
    lock.ended(second.send, true);
    expect(third.went).toBe(false);
    await turnEnds();
    expect(third.went).toBe(true);
  });

  it('is told its place and who holds the lock, again when the place changes', async () => {
    begins(alice());
    const [second, third] = [send(bob()), send(carol())];
    expect([second.places, third.places]).toEqual([[[1, 'alice']], [[2, 'alice']]]);
    await turnEnds();
    expect([second.places, third.places]).toEqual([[[1, 'alice']], [[2, 'alice'], [1, 'bob']]]);
  });

  it('is told its place once, however many messages it has there, and they go in their order', async () => {
    begins(alice());
    const two = bob();
    const [first, second] = [send(two), send(two)];
    const third = send(carol());
    expect([first.places, second.places, third.places]).toEqual([[[1, 'alice']], [], [[2, 'alice']]]);
    await turnEnds();
    expect([first.went, second.went, third.went]).toEqual([true, true, false]);
  });

  it('that cancels gives its place to those behind', async () => {
    begins(alice());
    const [second, third] = [send(bob()), send(carol())];
    lock.ended(second.send, false);
    expect(third.places).toEqual([[2, 'alice'], [1, 'alice']]);
    await turnEnds();
    expect([second.went, third.went]).toEqual([false, true]);
  });

  it('that cancels one of its messages keeps its place with the other', async () => {
    begins(alice());
    const two = bob();
    const [first, second] = [send(two), send(two)];
    lock.ended(first.send, false);
    await turnEnds();
    expect([first.went, second.went]).toEqual([false, true]);
  });

  it('is refused when it has waited too long, and not before', async () => {
    begins(alice());
    const [second, third] = [send(bob(), { now: 0 }), send(carol(), { now: 500 })];
    lock.tick(999, 1_000);
    expect([second.refusal, third.refusal]).toEqual([undefined, undefined]);
    lock.tick(1_000, 1_000);
    expect([second.refusal, third.refusal]).toEqual([['waited', 'alice'], undefined]);
    expect(third.places.at(-1)).toEqual([1, 'alice']);
    await turnEnds();
    expect([second.went, third.went]).toEqual([false, true]);
  });

  it('whose message is refused when its turn has come makes way for the next', async () => {
    begins(alice());
    const second = send(bob());
    second.send.go = () => lock.ended(second.send, false);
    const third = send(carol());
    await turnEnds();
    expect(third.went).toBe(true);
  });

  it('is refused when too many messages wait already', () => {
    begins(alice());
    const sent = Array.from({ length: MOST_WAITING + 1 }, (_, n) => send(new Author(n + 10, `user${n}`)));
    expect(sent.filter(({ refusal }) => refusal)).toEqual([sent.at(-1)]);
    expect(sent.at(-1)!.refusal).toEqual(['in_use', 'alice']);
    expect(lock.length).toBe(MOST_WAITING);
  });

  it('does not wait where it is to be refused instead', () => {
    begins(alice());
    expect(send(bob(), { reject: true })).toMatchObject({ went: false, refusal: ['in_use', 'alice'] });
    expect(lock.length).toBe(0);
  });

  it('of a line of a hundred who all give up as their turns come does not exhaust the stack', async () => {
    begins(alice());
    const sent = Array.from({ length: MOST_WAITING }, (_, n) => send(new Author(n + 10, `user${n}`)));
    for (const one of sent) one.send.go = () => lock.ended(one.send, false);
    await turnEnds();
    expect(lock.free).toBe(true);
  });
});

describe('the idle of somebody else\'s turn', () => {
  const idlesOf = (author: Author) => author.events.filter((type) => type === 'session.idle').length;

  it('is kept from a client that waits, whichever copy comes first, and its own is not', async () => {
    for (const waitsFirst of [true, false]) {
      const one = sessionOf(`s${waitsFirst}`).session;
      session = one;
      lock = one.turnLock = new TurnLock(one);
      const [writer, waiter] = [alice(), bob()];
      const places = [writer, waiter].map((author) => attach(one, new FakeLink(), author));
      if (waitsFirst) one.attachments.reverse();
      begins(writer);
      const waiting = send(waiter);
      for (const place of one.attachments) {
        event(place, 'session.idle', {}, 'idle-1');
        await settled();
      }
      expect([idlesOf(writer), idlesOf(waiter), waiting.went]).toEqual([1, 0, true]);
      startTurn(one);
      lock.ended(waiting.send, true);
      for (const place of places) event(place, 'session.idle', {}, 'idle-2');
      expect([idlesOf(writer), idlesOf(waiter)]).toEqual([2, 1]);
    }
  });

  it('is delivered late to a client whose message came to nothing', async () => {
    const [writer, waiter] = [alice(), bob()];
    const places = [waiter, writer].map((author) => attach(session, new FakeLink(), author));
    begins(writer);
    const waiting = send(waiter);
    for (const place of places) event(place, 'session.idle', {}, 'idle-1');
    await settled();
    expect(idlesOf(waiter)).toBe(0);
    lock.ended(waiting.send, false);
    expect(idlesOf(waiter)).toBe(1);
  });

  it('is delivered to those who do not wait', () => {
    const [writer, reader] = [alice(), carol()];
    const places = [writer, reader].map((author) => attach(session, new FakeLink(), author));
    begins(writer);
    send(bob());
    for (const place of places) event(place, 'session.idle', {}, 'idle-1');
    expect([idlesOf(writer), idlesOf(reader)]).toEqual([1, 1]);
  });
});

/** A queue that is asked over a network: whatever it says comes later, in order. */
class DistantQueue implements TurnQueue {
  private readonly local = new LocalTurnQueue();
  private readonly proxies = new Map<TurnTicket, TurnTicket>();
  private last: Promise<unknown> = Promise.resolve();
  down = false;

  enter(ticket: TurnTicket): Promise<void> {
    const later = (tell: () => void): void => void setImmediate(tell);
    const proxy: TurnTicket = {
      user: ticket.user,
      granted: (fence) => later(() => ticket.granted(fence)),
      moved: (place, heldBy) => later(() => ticket.moved(place, heldBy)),
    };
    this.proxies.set(ticket, proxy);
    return this.step(() => this.local.enter(proxy));
  }

  leave(ticket: TurnTicket): Promise<void> {
    return this.step(() => this.local.leave(this.proxies.get(ticket)!));
  }

  renew(ticket: TurnTicket): Promise<boolean> {
    return this.step(() => this.local.renew(this.proxies.get(ticket)!));
  }

  private step<T>(run: () => T): Promise<T> {
    const done = this.last.then(() => settled()).then(() => {
      if (this.down) throw new Error('down');
      return run();
    });
    this.last = done.catch(() => undefined);
    return done;
  }
}

async function quiet(): Promise<void> {
  for (let n = 0; n < 20; n++) await settled();
}

describe('with a queue that answers later', () => {
  let distant: DistantQueue;
  beforeEach(() => {
    distant = new DistantQueue();
    lock = session.turnLock = new TurnLock(session, distant);
  });

  it('a grant that comes when its client has left goes to the next', async () => {
    const first = send(alice());
    lock.ended(first.send, false);
    const second = send(bob());
    await quiet();
    expect([first.went, second.went]).toEqual([false, true]);
  });

  it('a client that is not to wait is refused when the answer comes', async () => {
    send(alice());
    await quiet();
    const other = new TurnLock(session, distant);
    const refused = send(bob(), { reject: true, on: other });
    await quiet();
    expect(refused).toMatchObject({ went: false, refusal: ['in_use', 'alice'] });
    expect(other.free).toBe(true);
  });

  it('a message is refused when the store does not answer', async () => {
    distant.down = true;
    const first = send(alice());
    await quiet();
    expect(first).toMatchObject({ went: false, refusal: ['store', ''] });
    expect(lock.free).toBe(true);
  });
});

describe('whatever clients do', () => {
  interface Sent {
    readonly author: Author;
    readonly told: Told;
    ended: boolean;
  }

  /** Sends, answers, ends of turns and departures in any order; then all that wait get their turns. */
  async function play(moves: readonly [number, number][], queue: TurnQueue, rest: () => Promise<void>): Promise<void> {
    session = sessionOf().session;
    lock = session.turnLock = new TurnLock(session, queue);
    const authors = Array.from({ length: 5 }, (_, n) => new Author(n, `user${n}`));
    const sent: Sent[] = [];
    const writing = () => sent.filter(({ told, ended }) => told.went && !ended);
    const waiting = () => sent.filter(({ told, ended }) => !told.went && !ended);
    const end = (one: Sent, ok: boolean): void => {
      one.ended = true;
      lock.ended(one.told.send, ok);
    };
    /** Who waits, in order of arrival. */
    let line: Author[] = [];
    const step = async (): Promise<void> => {
      await settled();
      const now = new Set(waiting().map(({ author }) => author));
      line = [...new Set([...line.filter((author) => now.has(author)), ...now])];
      expect(new Set(writing().map(({ author }) => author)).size).toBeLessThanOrEqual(1);
    };
    for (const [kind, who] of moves) {
      const author = authors[who % authors.length]!;
      if (kind === 0) sent.push({ author, told: send(author), ended: false });
      else if (kind === 2) session.turn.end('idle');
      else {
        const one = (kind === 1 ? writing() : sent.filter(({ ended }) => !ended))[who];
        if (one && kind === 1) startTurn(session);
        if (one) end(one, kind === 1);
      }
      await step();
    }
    const order: Author[] = [];
    while (waiting().length + writing().length > 0 && order.length <= moves.length) {
      for (const one of writing()) {
        if (!order.includes(one.author)) order.push(one.author);
        end(one, false);
      }
      session.turn.end('idle');
      await rest();
    }
    session.turn.end('idle');
    await rest();
    expect(waiting()).toEqual([]);
    expect(order.slice(order.length - line.length)).toEqual(line);
    expect(lock.free).toBe(true);
  }

  const moves = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.nat(9)), { maxLength: 60 });

  it('there are never two holders, and nobody starves', async () => {
    await fc.assert(fc.asyncProperty(moves, (script) => play(script, new LocalTurnQueue(), settled)), { numRuns: 100 });
  });

  it('nor with a queue that answers later', async () => {
    await fc.assert(fc.asyncProperty(moves, (script) => play(script, new DistantQueue(), quiet)), { numRuns: 100 });
  });
});

describe('the lock of the queue', () => {
  it('is given back by its holder only, each time with a higher fence', () => {
    const queue = new LocalTurnQueue();
    const fences: number[] = [];
    const ticket = (): TurnTicket => ({ user: 'u', granted: (fence) => fences.push(fence), moved: () => undefined });
    const [one, two, stranger] = [ticket(), ticket(), ticket()];
    queue.enter(one);
    queue.enter(two);
    queue.leave(stranger);
    expect([fences, queue.renew(one), queue.renew(two)]).toEqual([[1], true, false]);
    queue.leave(one);
    queue.leave(one);
    expect([fences, queue.renew(one), queue.renew(two)]).toEqual([[1, 2], false, true]);
  });
});
