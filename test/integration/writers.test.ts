/** Two SDK clients of one user on one session, both of which write, on a real CLI server. */
import type { SessionEvent } from '@github/copilot-sdk';
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, type CopilotClient, type CopilotSession } from '../support/sdk.js';
import { Site } from '../support/site.js';

const scope = scopeOfEachTest();

interface Pair {
  readonly site: Site;
  readonly first: CopilotSession;
  readonly second: CopilotSession;
  readonly firstClient: CopilotClient;
}

async function pair(sessions: object = {}): Promise<Pair> {
  const site = await Site.start(scope, { servers: 1, config: { sessions } });
  const firstClient = site.client();
  const first = await firstClient.createSession(site.session());
  const second = await site.client().resumeSession(first.sessionId, site.session());
  return { site, first, second, firstClient };
}

/** The places that a session was told. */
function places(said: Recording): unknown[] {
  return said.of('session.custom_notification').map(({ data }) => [data.source, data.name, data.payload]);
}

/** The user's messages and the ends of turns, in the order they came. */
function turns(events: readonly SessionEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.type === 'user.message') return [event.data.content];
    return event.type === 'session.idle' ? ['idle'] : [];
  });
}

/** A third client, which only listens. */
class Observer extends Recording {
  /** Waits until the turn of a message is over. */
  async untilOver(content: string): Promise<void> {
    for (let idles = 1; ; idles++) {
      await this.until('session.idle', idles);
      const story = turns(this.events);
      const at = story.indexOf(content);
      if (at >= 0 && story.includes('idle', at)) return;
    }
  }
}

describe('two clients that write to one session', () => {
  it('have one turn after the other, and the second is told that it waits', async () => {
    const { site, first, second } = await pair();
    const [saidFirst, saidSecond] = [new Recording(first), new Recording(second)];
    await first.send('one [[hold:one]]');
    const answer = second.sendAndWait('two');
    await saidSecond.until('session.custom_notification');
    expect(places(saidSecond)).toEqual([['skyport', 'turn.waiting', { place: 1, heldBy: 'alice' }]]);
    await site.model.asked('[[hold:one]]');
    expect(site.model.about('two')).toEqual([]);
    site.model.release('one');
    expect((await answer)?.data.content).toBe('answer 2: two');
    await saidFirst.until('session.idle', 2);
    expect(turns(saidFirst.events)).toEqual(['one [[hold:one]]', 'idle', 'two', 'idle']);
    expect(places(saidFirst)).toEqual([]);
  });

  it('that both send at once, again and again, never overlap', async () => {
    const { site, first, second } = await pair();
    const observer = new Observer(await site.client().resumeSession(first.sessionId, site.session()));
    const rounds = 10;
    const write = async (session: CopilotSession, name: string): Promise<void> => {
      for (let n = 1; n <= rounds; n++) {
        await session.send(`[[say:${name}${n}]]`);
        await observer.untilOver(`[[say:${name}${n}]]`);
      }
    };
    await Promise.all([write(first, 'a'), write(second, 'b')]);
    const story = turns(observer.events);
    expect(story.filter((_, n) => n % 2 === 1)).toEqual(Array.from({ length: 2 * rounds }, () => 'idle'));
    expect(story.filter((_, n) => n % 2 === 0).filter((text) => text === 'idle')).toEqual([]);
    // Each request to the model comes when all messages before it have been answered.
    for (const { messages } of site.model.requests) {
      const roles = messages.map(({ role }) => role).filter((role) => role === 'user' || role === 'assistant');
      expect(roles.every((role, n) => role === (n % 2 === 0 ? 'user' : 'assistant'))).toBe(true);
    }
    expect(site.model.requests).toHaveLength(2 * rounds);
  });

  it('may steer their own turns at any time', async () => {
    const { site, first, second } = await pair();
    const said = new Recording(first);
    await first.send('one [[hold:one]]');
    const waiting = second.sendAndWait('two');
    await site.model.asked('[[hold:one]]');
    await first.send({ prompt: 'one more', mode: 'enqueue' });
    await first.send({ prompt: 'quick', mode: 'immediate' });
    site.model.release('one');
    await waiting;
    await said.until('session.idle', 2);
    expect(turns(said.events).filter((text) => text !== 'idle').at(-1)).toBe('two');
    expect(said.of('user.message').map(({ data }) => data.content).sort()).toEqual(['one [[hold:one]]', 'one more', 'quick', 'two']);
  });

  it('may end each other\'s turns', async () => {
    const { site, first, second } = await pair();
    const said = new Recording(second);
    await first.send('one [[hold:one]]');
    await site.model.asked('[[hold:one]]');
    const waiting = second.sendAndWait('[[say:mine]]');
    await said.until('session.custom_notification');
    await second.abort();
    expect((await waiting)?.data.content).toBe('mine');
  });

  it('do not wait for one who is gone in the middle of its turn', async () => {
    const { site, first, second, firstClient } = await pair();
    const said = new Recording(second);
    await first.send('one [[hold:one]]');
    await site.model.asked('[[hold:one]]');
    const sent = second.send('two');
    await said.until('session.custom_notification');
    await firstClient.forceStop();
    await sent;
    site.model.release('one');
    await site.model.asked('two');
    await said.until('session.idle');
    expect(turns(said.events)).toEqual(['one [[hold:one]]', 'two', 'idle']);
    expect(said.texts).toEqual(['answer 1: one [[hold:one]]', 'answer 2: two']);
  });
});

describe('the second writer', () => {
  it('is refused at once with writers: reject', async () => {
    const { site, first, second } = await pair({ writers: 'reject' });
    await first.send('one [[hold:one]]');
    await expect(second.send('two')).rejects.toThrow('Session is in use by alice');
    const said = new Recording(second);
    site.model.release('one');
    await said.until('session.idle');
    expect((await second.sendAndWait('two'))?.data.content).toBe('answer 2: two');
  });

  it('is left to the CLI server with writers: free', async () => {
    const { site, first, second } = await pair({ writers: 'free' });
    const said = new Recording(first);
    await first.send('one [[hold:one]]');
    await site.model.asked('[[hold:one]]');
    await second.send('two');
    site.model.release('one');
    await site.model.asked('two');
    await said.until('session.idle');
    expect(places(said)).toEqual([]);
  });

  it('is refused after writers_wait', async () => {
    const { site, first, second } = await pair({ writers_wait: '300ms' });
    await first.send('one [[hold:one]]');
    await site.model.asked('[[hold:one]]');
    await expect(second.send('two')).rejects.toThrow('Session is in use by alice; waited 300 ms in vain');
    site.model.release('one');
  });
});
