import type { SessionLifecycleEvent } from '@github/copilot-sdk';
import { expect, it } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { turn, type CopilotClient } from '../support/sdk.js';

/** Everything a client hears of the lives of sessions. */
class Lives {
  private readonly heard: SessionLifecycleEvent[] = [];
  private readonly watchers = new Set<() => void>();

  constructor(client: CopilotClient) {
    client.onLifecycle((event) => {
      this.heard.push(event);
      for (const wake of this.watchers) wake();
      this.watchers.clear();
    });
  }

  async until(sessionId: string, type: SessionLifecycleEvent['type']): Promise<SessionLifecycleEvent> {
    for (;;) {
      const found = this.heard.find((event) => event.sessionId === sessionId && event.type === type);
      if (found) return found;
      await new Promise<void>((resolve) => this.watchers.add(resolve));
    }
  }
}

const ids = async (client: CopilotClient) => (await client.listSessions()).map((session) => session.sessionId);

forEachTarget('the catalogue of sessions', (target) => {
  it('is empty before the first session', async () => {
    const client = target.client();
    await client.start();
    expect(await client.listSessions()).toEqual([]);
    expect(await client.getLastSessionId()).toBeUndefined();
  });

  it('names the session that was used last', async () => {
    const client = target.client();
    const sessions = await Promise.all([1, 2, 3, 4].map(() => client.createSession(target.session())));
    for (const session of sessions) {
      await turn(session, 'hello');
      expect(await client.getLastSessionId()).toBe(session.sessionId);
    }
  });

  it('lists each used session once, and no unused one', async () => {
    const client = target.client();
    const sessions = await Promise.all([1, 2, 3, 4, 5, 6].map(() => client.createSession(target.session())));
    const unused = await client.createSession(target.session());
    await Promise.all(sessions.map((session) => turn(session, 'hello')));
    const listed = await ids(client);
    for (const { sessionId } of sessions) expect(listed.filter((id) => id === sessionId)).toHaveLength(1);
    expect(listed).not.toContain(unused.sessionId);
  });

  it('shows the same sessions to another client of the user', async () => {
    const session = await target.client().createSession(target.session());
    await turn(session, 'hello');
    const other = target.client();
    await other.start();
    expect(await ids(other)).toContain(session.sessionId);
  });

  it('keeps the sessions of clients that left', async () => {
    const client = target.client();
    const session = await client.createSession(target.session());
    await turn(session, 'hello');
    await client.stop();
    const other = target.client();
    await other.start();
    expect(await ids(other)).toContain(session.sessionId);
  });

  it('tells what a session is about and where it works', async () => {
    const workingDirectory = target.directory();
    const client = target.client();
    const session = await client.createSession(target.session({ workingDirectory }));
    await turn(session, 'plan a birthday');
    const metadata = await client.getSessionMetadata(session.sessionId);
    expect(metadata).toMatchObject({ sessionId: session.sessionId, summary: 'plan a birthday', isRemote: false });
    expect(metadata?.context?.workingDirectory).toBe(workingDirectory);
    expect(metadata?.startTime.getTime()).toBeLessThanOrEqual(metadata!.modifiedTime.getTime());
    const listed = (await client.listSessions()).find((one) => one.sessionId === session.sessionId);
    expect(listed?.summary).toBe('plan a birthday');
  });

  it('finds sessions by their working directory', async () => {
    const workingDirectory = target.directory();
    const client = target.client();
    const there = await client.createSession(target.session({ workingDirectory }));
    const elsewhere = await client.createSession(target.session());
    await Promise.all([turn(there, 'hello'), turn(elsewhere, 'hello')]);
    const found = await client.listSessions({ workingDirectory });
    expect(found.map((session) => session.sessionId)).toEqual([there.sessionId]);
  });

  it('knows nothing of a session that does not exist', async () => {
    const client = target.client();
    await client.start();
    expect(await client.getSessionMetadata('no-such-session')).toBeUndefined();
  });

  it('forgets a session that is deleted', async () => {
    const client = target.client();
    const session = await client.createSession(target.session());
    await turn(session, 'hello');
    await session.disconnect();
    await client.deleteSession(session.sessionId);
    expect(await ids(client)).not.toContain(session.sessionId);
    expect(await client.getSessionMetadata(session.sessionId)).toBeUndefined();
    await expect(client.resumeSession(session.sessionId, target.session())).rejects.toThrow(/Session not found/);
  });

  it('refuses to delete a session that does not exist', async () => {
    const client = target.client();
    await client.start();
    await expect(client.deleteSession('no-such-session')).rejects.toThrow(/not found/i);
  });

  it('lets a deleted id be used again, for a session without a past', async () => {
    const client = target.client();
    const sessionId = `again-${Date.now()}`;
    const before = await client.createSession(target.session({ sessionId }));
    await turn(before, 'the old one');
    await before.disconnect();
    await client.deleteSession(sessionId);
    const after = await client.createSession(target.session({ sessionId }));
    expect((await turn(after, 'the new one')).text).toBe('answer 1: the new one');
  });
});

forEachTarget('the life of a session', (target) => {
  it('is told to the client that has it: created, updated, deleted', async () => {
    const client = target.client();
    await client.start();
    const lives = new Lives(client);
    const session = await client.createSession(target.session());
    await lives.until(session.sessionId, 'session.created');
    await turn(session, 'hello');
    const updated = await lives.until(session.sessionId, 'session.updated');
    expect(updated.sessionId).toBe(session.sessionId);
    await session.disconnect();
    await client.deleteSession(session.sessionId);
    await lives.until(session.sessionId, 'session.deleted');
  });

  it('is told to the other clients of the user too', async () => {
    const watcher = target.client();
    await watcher.start();
    const lives = new Lives(watcher);
    const client = target.client();
    const session = await client.createSession(target.session());
    await lives.until(session.sessionId, 'session.created');
    await turn(session, 'hello');
    await session.disconnect();
    await client.deleteSession(session.sessionId);
    expect((await lives.until(session.sessionId, 'session.deleted')).sessionId).toBe(session.sessionId);
  });
});
