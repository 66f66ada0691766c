import { expect, it } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { turn } from '../support/sdk.js';
import { textOf } from '../support/prompt.js';

const AGENTS = [
  { name: 'poet', displayName: 'Poet', description: 'writes verse', prompt: 'You answer in verse only.' },
  { name: 'clerk', description: 'writes forms', prompt: 'You answer in forms only.', tools: ['view'] },
];

forEachTarget('a custom agent', (target) => {
  it('is listed with the others', async () => {
    const session = await target.client().createSession(target.session({ customAgents: AGENTS }));
    const { agents } = await session.rpc.agent.list();
    expect(agents.map((agent) => agent.name)).toEqual(expect.arrayContaining(['poet', 'clerk']));
  });

  it('takes over the conversation when it is selected', async () => {
    const session = await target.client().createSession(target.session({ customAgents: AGENTS }));
    await session.rpc.agent.select({ name: 'poet' });
    expect((await session.rpc.agent.getCurrent()).agent?.name).toBe('poet');
    await turn(session, 'as a poet');
    expect(textOf(target.model.about('as a poet')[0]!.messages[0]!)).toContain('You answer in verse only.');
  });

  it('gives it back when it is deselected', async () => {
    const session = await target.client().createSession(target.session({ customAgents: AGENTS, agent: 'poet' }));
    await session.rpc.agent.deselect();
    expect((await session.rpc.agent.getCurrent()).agent ?? null).toBeNull();
    await turn(session, 'as myself');
    expect(textOf(target.model.about('as myself')[0]!.messages[0]!)).not.toContain('You answer in verse only.');
  });

  it('has only its own tools', async () => {
    const session = await target.client().createSession(target.session({ customAgents: AGENTS, agent: 'clerk' }));
    await turn(session, 'as a clerk');
    expect(target.model.about('as a clerk')[0]!.tools).toContain('view');
    expect(target.model.about('as a clerk')[0]!.tools).not.toContain('bash');
  });

  it('is not known to other sessions', async () => {
    const client = target.client();
    await client.createSession(target.session({ customAgents: AGENTS }));
    const plain = await client.createSession(target.session());
    expect((await plain.rpc.agent.list()).agents.map((agent) => agent.name)).not.toContain('poet');
  });
});

forEachTarget('a slash command', (target) => {
  it('of the client is listed and run by it', async () => {
    const runs: unknown[] = [];
    const session = await target.client().createSession(target.session({
      commands: [{ name: 'deploy', description: 'ship it', handler: ({ commandName, args, sessionId }) => void runs.push([commandName, args, sessionId]) }],
    }));
    const { commands } = await session.rpc.commands.list();
    expect(commands.filter((command) => command.kind === 'client').map((command) => command.name)).toEqual(['deploy']);
    await session.rpc.commands.execute({ commandName: 'deploy', args: 'to staging' });
    expect(runs).toEqual([['deploy', 'to staging', session.sessionId]]);
  });

  it('whose handler fails reports the failure', async () => {
    const session = await target.client().createSession(target.session({
      commands: [{ name: 'deploy', handler: () => { throw new Error('no runway'); } }],
    }));
    expect((await session.rpc.commands.execute({ commandName: 'deploy', args: '' })).error).toContain('no runway');
  });

  it('that nobody registered is reported as unknown', async () => {
    const session = await target.client().createSession(target.session());
    expect((await session.rpc.commands.execute({ commandName: 'nowhere', args: '' })).error).toBeTruthy();
  });

  it('of the server works too', async () => {
    const session = await target.client().createSession(target.session());
    const { commands } = await session.rpc.commands.list();
    expect(commands.map((command) => command.name)).toContain('compact');
  });

  it('of one session is not run in another', async () => {
    const runs: string[] = [];
    const client = target.client();
    const command = (name: string) => ({ name: 'where', handler: () => void runs.push(name) });
    const [one, two] = await Promise.all([
      client.createSession(target.session({ commands: [command('one')] })),
      client.createSession(target.session({ commands: [command('two')] })),
    ]);
    await two.rpc.commands.execute({ commandName: 'where', args: '' });
    await one.rpc.commands.execute({ commandName: 'where', args: '' });
    expect(runs).toEqual(['two', 'one']);
  });
});
