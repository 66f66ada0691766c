import { expect, it } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { turn } from '../support/sdk.js';
import { textOf } from '../support/prompt.js';

forEachTarget('the settings of a session', (target) => {
  it('switch the model for the turns that follow', async () => {
    const session = await target.client().createSession(target.session());
    await turn(session, 'before the switch');
    await session.setModel('gpt-5-mini');
    await turn(session, 'after the switch');
    expect(target.model.about('before the switch')[0]!.model).toBe('gpt-4.1');
    expect(target.model.about('after the switch')[0]!.model).toBe('gpt-5-mini');
    expect((await session.rpc.model.getCurrent()).modelId).toBe('gpt-5-mini');
  });

  it('read and set the mode', async () => {
    const session = await target.client().createSession(target.session());
    expect(await session.rpc.mode.get()).toBe('interactive');
    await session.rpc.mode.set({ mode: 'plan' });
    expect(await session.rpc.mode.get()).toBe('plan');
  });

  it('keep, change and drop a plan', async () => {
    const session = await target.client().createSession(target.session());
    expect((await session.rpc.plan.read()).exists).toBe(false);
    await session.rpc.plan.update({ content: '# Plan\n1. begin\n' });
    expect(await session.rpc.plan.read()).toMatchObject({ exists: true, content: '# Plan\n1. begin\n' });
    await session.rpc.plan.delete();
    expect((await session.rpc.plan.read()).exists).toBe(false);
  });

  it('name the session', async () => {
    const session = await target.client().createSession(target.session());
    await session.rpc.name.set({ name: 'Trip to Rome' });
    expect((await session.rpc.name.get()).name).toBe('Trip to Rome');
  });

  it('keep files in the session\'s workspace', async () => {
    const session = await target.client().createSession(target.session());
    await session.rpc.workspaces.createFile({ path: 'note.md', content: 'remember' });
    expect((await session.rpc.workspaces.listFiles()).files).toContain('note.md');
    expect((await session.rpc.workspaces.readFile({ path: 'note.md' })).content).toBe('remember');
  });

  it('show what the session is doing', async () => {
    const session = await target.client().createSession(target.session());
    const running = turn(session, 'busy [[hold:activity]]');
    await target.model.asked('[[hold:activity]]');
    expect((await session.rpc.metadata.isProcessing()).processing).toBe(true);
    target.model.release('activity');
    await running;
    expect((await session.rpc.metadata.isProcessing()).processing).toBe(false);
  });

  it('show a queued message and take it back', async () => {
    const session = await target.client().createSession(target.session());
    const running = turn(session, 'busy [[hold:queue]]');
    await target.model.asked('[[hold:queue]]');
    await session.send('on second thought');
    expect((await session.rpc.queue.pendingItems()).items).toHaveLength(1);
    await session.rpc.queue.clear();
    target.model.release('queue');
    await running;
    expect(target.model.about('on second thought')).toEqual([]);
  });

  it('offer only the tools that are wanted', async () => {
    const session = await target.client().createSession(target.session({ availableTools: ['view', 'grep'] }));
    await turn(session, 'which tools have I');
    expect([...target.model.about('which tools have I')[0]!.tools].sort()).toEqual(['grep', 'view']);
  });

  it('count what was used', async () => {
    const session = await target.client().createSession(target.session());
    await turn(session, 'hello');
    const metrics = await session.rpc.usage.getMetrics();
    expect(metrics.totalUserRequests).toBe(1);
  });
});

forEachTarget('a system message', (target) => {
  const system = (prompt: string) => textOf(target.model.about(prompt)[0]!.messages[0]!);

  it('may be appended to', async () => {
    const session = await target.client().createSession(target.session({ systemMessage: { mode: 'append', content: 'Speak like a pirate.' } }));
    await turn(session, 'appended?');
    expect(system('appended?')).toContain('Speak like a pirate.');
    expect(system('appended?').length).toBeGreaterThan(500);
  });

  it('may be replaced', async () => {
    const session = await target.client().createSession(target.session({ systemMessage: { mode: 'replace', content: 'You are a toaster.' } }));
    await turn(session, 'replaced?');
    expect(system('replaced?')).toContain('You are a toaster.');
    expect(system('replaced?')).not.toContain('GitHub');
  });

  it('may have a section rewritten by the client', async () => {
    const sections: string[] = [];
    const session = await target.client().createSession(target.session({
      systemMessage: {
        mode: 'customize',
        sections: {
          identity: {
            action: (current) => {
              sections.push(current);
              return 'You are a lighthouse keeper.';
            },
          },
        },
      },
    }));
    await turn(session, 'rewritten?');
    expect(sections.length).toBeGreaterThan(0);
    expect(system('rewritten?')).toContain('You are a lighthouse keeper.');
    expect(system('rewritten?')).not.toContain(sections[0]!.trim());
  });
});

forEachTarget('a compaction', (target) => {
  it('puts a summary in the place of the history', async () => {
    const session = await target.client().createSession(target.session());
    await turn(session, 'a first long story');
    await turn(session, 'a second long story');
    const result = await session.rpc.history.compact();
    expect(result.success).toBe(true);
    expect(result.messagesRemoved).toBeGreaterThan(0);
    await turn(session, 'after compaction');
    const history = target.model.about('after compaction')[0]!.messages.slice(1).map(textOf);
    expect(history.join('\n')).toContain('summarized');
    expect(history.join('\n')).not.toContain('answer 2: a second long story');
  });

  it('tells its listeners when it begins and ends', async () => {
    const session = await target.client().createSession(target.session());
    await turn(session, 'a story');
    const seen: string[] = [];
    const done = new Promise<void>((resolve) => {
      session.on('session.compaction_start', () => void seen.push('start'));
      session.on('session.compaction_complete', () => { seen.push('complete'); resolve(); });
    });
    await session.rpc.history.compact();
    await done;
    expect(seen).toEqual(['start', 'complete']);
  });
});
