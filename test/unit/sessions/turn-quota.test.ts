import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { UNLIMITED, type Allowance, type LimitName, type NoQuota, type SharedLimit, type SharedTurns, type TurnMessage } from '../../../proxy/sessions/turn-limits.js';
import { TurnQuota } from '../../../proxy/sessions/turn-quota.js';
import type { Session } from '../../../proxy/sessions/session.js';
import { sessionOf, settled } from './cast.js';

/** Minutes that end when the test says so. */
class Minutes {
  readonly counts = new Map<string, number>();
  wait = 1_000;

  async take(key: string, limit: number): Promise<number> {
    await settled();
    const count = this.counts.get(key) ?? 0;
    if (count >= limit) return this.wait;
    this.counts.set(key, count + 1);
    return 0;
  }

  giveBack(key: string): void {
    this.counts.set(key, this.counts.get(key)! - 1);
  }
}

/** What another Skyport has beside this one. */
class Elsewhere implements SharedTurns {
  readonly taken = new Map<string, readonly string[]>();
  readonly others = new Map<string, number>();

  async take(id: string, limits: readonly SharedLimit[]): Promise<SharedLimit | undefined> {
    await settled();
    const names = limits.map(({ kind, name }) => `${kind}:${name}`);
    const used = (name: string): number => [...this.taken.values()].filter((one) => one.includes(name)).length + (this.others.get(name) ?? 0);
    const full = limits.find(({ limit }, at) => used(names[at]!) >= limit);
    if (!full) this.taken.set(id, names);
    return full;
  }

  giveBack(id: string): void {
    this.taken.delete(id);
  }

  tick(): Promise<void> {
    return Promise.resolve();
  }
}

let now: number;
let minutes: Minutes;
let quota: TurnQuota;
let went: string[];

beforeEach(() => {
  now = 0;
  minutes = new Minutes();
  quota = new TurnQuota({ rates: minutes, now: () => now });
  went = [];
});

interface Sent extends TurnMessage {
  readonly name: string;
  through: boolean;
  refusal: NoQuota | undefined;
  readonly places: [number, LimitName][];
  /** The server has taken it; its turn runs. */
  taken(): void;
  /** Its turn is over, or it is cancelled. */
  over(): void;
}

function session(): Session {
  return sessionOf().session;
}

let limits: Partial<Allowance> = {};

/** A message that ends by itself when it is refused, as a request does. */
function send(user: string, name: string, on: Session = session(), allowed: () => Partial<Allowance> = () => limits): Sent {
  let idles = 0;
  let answered = false;
  const message: Sent = {
    user, name, session: on, through: false, refusal: undefined, places: [],
    allowance: () => (Object.keys(allowed()).length === 0 ? UNLIMITED : { ...UNLIMITED, ...allowed() }),
    go: () => {
      message.through = true;
      went.push(name);
      idles = on.turn.sent();
    },
    refused: (why) => {
      message.refusal = why;
      quota.ended(message, false);
    },
    waits: (place, limit) => message.places.push([place, limit]),
    taken: () => {
      answered = true;
      on.turn.answered(true, idles);
      quota.ended(message, true);
    },
    over: () => {
      if (!message.through) return quota.ended(message, false);
      if (!answered) message.taken();
      on.turn.seenIdle(false);
      quota.turnEnded(on);
    },
  };
  quota.enter(message);
  return message;
}

const usageOf = (user: string) => quota.usage().find((one) => one.user === user);

describe('turns at one time', () => {
  beforeEach(() => {
    limits = { active: 1 };
  });

  it('go on at once where there are no limits', () => {
    limits = {};
    for (let n = 1; n <= 3; n++) send('alice', `${n}`);
    expect(went).toEqual(['1', '2', '3']);
    expect(usageOf('alice')).toEqual({ user: 'alice', turnsOpen: 3, turnsQueued: 0, turnsLastMinute: 3 });
  });

  it('wait for another turn of the user to end, and are told their place', async () => {
    const first = send('alice', 'first');
    const [second, third] = [send('alice', 'second'), send('alice', 'third')];
    expect(went).toEqual(['first']);
    expect([second.places, third.places]).toEqual([[[1, 'active']], [[2, 'active']]]);
    first.over();
    await settled();
    expect(went).toEqual(['first', 'second']);
    expect(third.places).toEqual([[2, 'active'], [1, 'active']]);
  });

  it('count from when a message is passed on, whether or not it was answered', () => {
    const first = send('alice', 'first');
    const second = send('alice', 'second');
    first.taken();
    expect(second.through).toBe(false);
  });

  it('of others do not matter', () => {
    send('alice', 'alice');
    send('bob', 'bob');
    expect(went).toEqual(['alice', 'bob']);
  });

  it('on the same session are one, however many messages it gets', () => {
    const one = session();
    send('alice', 'first', one).taken();
    send('alice', 'more', one).taken();
    expect(went).toEqual(['first', 'more']);
    expect(usageOf('alice')?.turnsOpen).toBe(1);
  });

  it('are over when the message is refused', async () => {
    const first = send('alice', 'first');
    send('alice', 'second');
    quota.ended(first, false);
    await settled();
    expect(went).toEqual(['first', 'second']);
  });

  it('are over when the answer says so, though the session says nothing', async () => {
    const first = send('alice', 'first');
    send('alice', 'second');
    first.session.turn.answered(true, 0);
    first.session.turn.seenIdle(false);
    quota.ended(first, true, true);
    await settled();
    expect(went).toEqual(['first', 'second']);
  });

  it('that are not open yet when they are answered are waited for', async () => {
    const one = session();
    const first = send('alice', 'first', one);
    const more = send('alice', 'more', one);
    send('alice', 'another session');
    first.taken();
    one.turn.seenIdle(false);
    quota.turnEnded(one);
    // The idle of the first came before the answer to the second, whose turn begins a moment later.
    one.turn.answered(true, 0);
    quota.ended(more, true);
    quota.tick(false);
    expect(went).toEqual(['first', 'more']);
    one.turn.seenRunning();
    for (let n = 1; n <= 5; n++) quota.tick(false);
    expect(went).toEqual(['first', 'more']);
    one.turn.seenIdle(false);
    quota.turnEnded(one);
    await settled();
    expect(went).toEqual(['first', 'more', 'another session']);
  });

  it('that never open after their answer are given up after two looks', () => {
    const first = send('alice', 'first');
    send('alice', 'second');
    first.session.turn.seenIdle(false);
    first.session.turn.answered(true, 0);
    quota.ended(first, true);
    quota.tick(false);
    expect(went).toEqual(['first']);
    quota.tick(false);
    expect(went).toEqual(['first', 'second']);
  });

  it('of a session that was deleted are over, though nobody says so', () => {
    const first = send('alice', 'first');
    first.taken();
    send('alice', 'second');
    first.session.deleted = true;
    quota.tick(false);
    expect(went).toEqual(['first', 'second']);
  });

  it('leave the line when they are cancelled', async () => {
    const first = send('alice', 'first');
    const second = send('alice', 'second');
    const third = send('alice', 'third');
    quota.ended(second, false);
    await settled();
    expect(third.places.at(-1)).toEqual([1, 'active']);
    first.over();
    await settled();
    expect(went).toEqual(['first', 'third']);
  });

  it('are given away by a reload at once', () => {
    send('alice', 'first');
    send('alice', 'second');
    limits = { active: 2 };
    quota.changed();
    expect(went).toEqual(['first', 'second']);
  });

  it('that were begun before a reload count after it', () => {
    limits = {};
    send('alice', 'first');
    limits = { active: 1 };
    expect(send('alice', 'second').through).toBe(false);
  });
});

describe('the line of a user', () => {
  beforeEach(() => {
    limits = { active: 1, queued: 2, wait: 1_000 };
  });

  it('has so many places, and whoever comes then is refused at once', () => {
    send('alice', 'first');
    const waiting = [send('alice', 'second'), send('alice', 'third')];
    const refused = send('alice', 'fourth');
    expect(refused.refusal).toEqual({ reason: 'full', limit: 'active', retryAfter: 5_000 });
    expect(waiting.map(({ refusal }) => refusal)).toEqual([undefined, undefined]);
  });

  it('may have none', () => {
    limits = { active: 1, queued: 0 };
    send('alice', 'first');
    expect(send('alice', 'second').refusal).toMatchObject({ reason: 'full', limit: 'active' });
  });

  it('is waited in for so long', () => {
    send('alice', 'first');
    const second = send('alice', 'second');
    now = 500;
    const third = send('alice', 'third');
    now = 999;
    quota.tick(false);
    expect(second.refusal).toBeUndefined();
    now = 1_000;
    quota.tick(false);
    expect([second.refusal?.reason, third.refusal?.reason]).toEqual(['waited', undefined]);
  });

  it('is emptied when Skyport stops', () => {
    const first = send('alice', 'first');
    const waiting = [send('alice', 'second'), send('alice', 'third')];
    quota.tick(true);
    expect(waiting.map(({ refusal }) => refusal?.reason)).toEqual(['stopping', 'stopping']);
    expect(first.refusal).toBeUndefined();
  });

  it('keeps the messages of a session in order', async () => {
    limits = { active: 1, perMinute: 2 };
    const one = session();
    for (const name of ['1', '2', '3', '4']) send('alice', name, one);
    await settled();
    await settled();
    await settled();
    expect(went).toEqual(['1', '2']);
    minutes.counts.clear();
    now += minutes.wait;
    quota.tick(false);
    for (let n = 0; n < 10; n++) await settled();
    expect(went).toEqual(['1', '2', '3', '4']);
  });

  it('is overtaken by what steers a turn that runs', async () => {
    limits = { active: 1, perMinute: 100 };
    const one = session();
    send('alice', 'first', one);
    await settled();
    await settled();
    send('alice', 'another session');
    send('alice', 'steers', one);
    for (let n = 0; n < 10; n++) await settled();
    expect(went).toEqual(['first', 'steers']);
  });

  it('tells how long turns take of late', async () => {
    limits = { active: 1, queued: 0 };
    for (let n = 0; n < 40; n++) {
      const turn = send('alice', `${n}`);
      now += 20_000;
      turn.over();
      await settled();
    }
    send('alice', 'runs');
    const { retryAfter } = send('alice', 'refused').refusal!;
    expect(retryAfter).toBeGreaterThan(19_000);
    expect(retryAfter).toBeLessThanOrEqual(20_000);
  });

  it('is forgotten with its user', () => {
    send('alice', 'first').over();
    quota.tick(false);
    expect(usageOf('alice')?.turnsLastMinute).toBe(1);
    now += 70_000;
    quota.tick(false);
    expect(quota.usage()).toEqual([]);
  });
});

describe('turns within a minute', () => {
  const over = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) await settled();
  };

  it('wait for the next minute', async () => {
    limits = { perMinute: 2 };
    const sent = ['1', '2', '3'].map((name) => send('alice', name));
    await over();
    expect(went).toEqual(['1', '2']);
    expect(sent[2]!.places).toEqual([[1, 'per_minute']]);
    now += 999;
    quota.tick(false);
    await over();
    expect(went).toEqual(['1', '2']);
    minutes.counts.clear();
    now += 1;
    quota.tick(false);
    await over();
    expect(went).toEqual(['1', '2', '3']);
  });

  it('are refused with the time until then where nobody may wait', async () => {
    limits = { perMinute: 1, queued: 0 };
    send('alice', 'first');
    await over();
    const second = send('alice', 'second');
    await over();
    expect(second.refusal).toEqual({ reason: 'full', limit: 'per_minute', retryAfter: 1_000 });
  });

  it('count nothing that was cancelled while that was being found out', async () => {
    limits = { perMinute: 10 };
    const first = send('alice', 'first');
    first.over();
    await over();
    expect([went, minutes.counts.get('user:alice')]).toEqual([[], 0]);
  });

  it('of a user are given back when those of his role are used up', async () => {
    limits = { perMinute: 5, allPerMinute: { role: 'guest', limit: 1 } };
    send('alice', 'alice');
    await over();
    const bob = send('bob', 'bob');
    await over();
    expect([went, bob.places, minutes.counts.get('user:bob')]).toEqual([['alice'], [[1, 'role_per_minute']], 0]);
  });
});

describe('turns of all users with a role', () => {
  beforeEach(() => {
    limits = { queued: 1_000, allActive: { role: 'guest', limit: 1 } };
  });

  it('are shared out one by one, however many each user wants', async () => {
    let running = send('alice', 'a0');
    const sent = new Map([['a0', running]]);
    for (let n = 1; n <= 1_000; n++) sent.set(`a${n}`, send('alice', `a${n}`));
    sent.set('b1', send('bob', 'b1'));
    sent.set('b2', send('bob', 'b2'));
    sent.set('c1', send('carol', 'c1'));
    for (let n = 0; n < 6; n++) {
      running.over();
      await settled();
      running = sent.get(went.at(-1)!)!;
    }
    expect(went).toEqual(['a0', 'a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  it('do not hold back who has another role', () => {
    send('alice', 'alice');
    send('bob', 'bob', session(), () => ({ allActive: { role: 'customer', limit: 1 } }));
    send('carol', 'carol', session(), () => ({}));
    expect(went).toEqual(['alice', 'bob', 'carol']);
  });

  it('are given to whoever waits, not to whoever comes in that moment', async () => {
    const alice = send('alice', 'alice');
    send('bob', 'bob');
    alice.over();
    send('carol', 'carol');
    await settled();
    expect(went).toEqual(['alice', 'bob']);
  });
});

describe('turns of several Skyports', () => {
  let elsewhere: Elsewhere;
  const over = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) await settled();
  };

  beforeEach(() => {
    elsewhere = new Elsewhere();
    quota = new TurnQuota({ rates: minutes, shared: elsewhere, now: () => now });
    limits = { active: 1 };
  });

  it('are asked for where limits of them hold, and given back', async () => {
    const first = send('alice', 'first');
    await over();
    expect([...elsewhere.taken.values()]).toEqual([['user:alice']]);
    first.over();
    await over();
    expect(elsewhere.taken.size).toBe(0);
    limits = { perMinute: 1 };
    send('bob', 'bob');
    await over();
    expect([went, elsewhere.taken.size]).toEqual([['first', 'bob'], 0]);
  });

  it('wait until the other one has given one back, which is looked for', async () => {
    elsewhere.others.set('user:alice', 1);
    const first = send('alice', 'first');
    await over();
    expect([went, first.places]).toEqual([[], [[1, 'active']]]);
    elsewhere.others.clear();
    quota.tick(false);
    await over();
    expect(went).toEqual(['first']);
  });

  it('are given back by who was cancelled meanwhile', async () => {
    const first = send('alice', 'first');
    first.over();
    await over();
    expect([went, elsewhere.taken.size]).toEqual([[], 0]);
  });

  it('are not taken by who has to wait for the minute', async () => {
    limits = { active: 5, perMinute: 1, allActive: { role: 'guest', limit: 5 } };
    send('alice', 'first').over();
    send('alice', 'second');
    send('alice', 'third');
    await over();
    expect([...elsewhere.taken.values()]).toEqual([['user:alice', 'role:guest']]);
  });
});

describe('whatever happens', () => {
  it('no user has more turns than he may, everybody gets what he has sent, and nothing is left', async () => {
    const step = fc.record({ user: fc.constantFrom('alice', 'bob', 'carol'), session: fc.nat(2), act: fc.constantFrom('send', 'send', 'end', 'cancel', 'tick') });
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.boolean(), async (steps, shared) => {
      quota = new TurnQuota({ rates: new Minutes(), now: () => now, ...(shared ? { shared: new Elsewhere() } : {}) });
      limits = { active: 2, queued: 1_000, allActive: { role: 'guest', limit: 3 } };
      const sessions = new Map<string, Session>();
      const open: Sent[] = [];
      const check = (): void => {
        const users = quota.usage();
        for (const { turnsOpen } of users) expect(turnsOpen).toBeLessThanOrEqual(2);
        expect(users.reduce((sum, { turnsOpen }) => sum + turnsOpen, 0)).toBeLessThanOrEqual(3);
      };
      for (const { user, session: n, act } of steps) {
        const key = `${user}${n}`;
        if (!sessions.has(key)) sessions.set(key, session());
        const mine = open.filter((one) => one.user === user);
        if (act === 'send') open.push(send(user, key, sessions.get(key)));
        else if (act === 'tick') quota.tick(false);
        else if (act === 'end') mine.find(({ through }) => through)?.over();
        else mine.find(({ through }) => !through)?.over();
        await settled();
        check();
      }
      for (let n = 0; n < 1_000 && open.some((one) => !one.through || one.session.turn.open); n++) {
        for (const one of open) if (one.through) one.over();
        await settled();
        quota.tick(false);
        await settled();
        check();
      }
      for (let n = 0; n < 3; n++) quota.tick(false);
      expect(quota.usage().map(({ turnsOpen, turnsQueued }) => [turnsOpen, turnsQueued]).flat().every((count) => count === 0)).toBe(true);
    }), { numRuns: 60 });
  });
});
