import { describe, expect, it } from 'vitest';
import type { ServerShell } from '../../../proxy/backends/shell.js';
import type { Served, SessionFileSystem } from '../../../proxy/backends/provider.js';
import type { FakeServer } from '../../support/fake-server.js';
import { scopeOfEachTest } from '../../support/scope.js';
import { sessionOf } from '../sessions/cast.js';
import { until } from '../wire/sockets.js';
import { attachTo, serve, type Service } from './service.js';

const scope = scopeOfEachTest();

/** Hands out the shell that a request comes with. */
class Files implements SessionFileSystem {
  readonly statePath = '/state';
  shell: ServerShell | undefined;

  answer(_from: Served, _method: string, _params: unknown, shell: ServerShell): Promise<object> {
    this.shell = shell;
    return Promise.resolve({ result: null });
  }
}

interface Rig extends Service {
  readonly shell: ServerShell;
  /** What is sent to everybody stands for what is sent to those who are attached. */
  tell(method: 'shell.output' | 'shell.exit', params: object): void;
}

/** A backend with so many links besides the control link, and the shell of its server. */
async function rig(links = 1): Promise<Rig> {
  const files = new Files();
  const service = await serve(scope, {}, {}, files);
  const { session } = sessionOf();
  for (let n = 0; n < links; n++) await attachTo(service.backend, session);
  service.fake.askOn(1, 'sessionFs.exists', { sessionId: 's1', path: '/srv' });
  await until(() => files.shell !== undefined);
  return { ...service, shell: files.shell!, tell: (method, params) => service.fake.broadcast(method, params) };
}

function runs(fake: FakeServer, processId: string): void {
  fake.answer('session.shell.exec', () => ({ result: { processId } }));
}

describe('a command on the server', () => {
  it('is called on the control link, and gives what it printed and how it ended', async () => {
    const { shell, fake, tell } = await rig();
    runs(fake, 'p1');
    const outcome = shell.run('s1', 'echo hello');
    const request = await fake.until(({ method }) => method === 'session.shell.exec');
    expect([request.connection, request.params.sessionId, request.params.command]).toEqual([1, 's1', 'echo hello']);
    tell('shell.output', { processId: 'p1', stream: 'stdout', data: 'hel' });
    tell('shell.output', { processId: 'p1', stream: 'stderr', data: 'a warning' });
    tell('shell.output', { processId: 'p1', stream: 'stdout', data: 'lo' });
    tell('shell.exit', { processId: 'p1', exitCode: 3 });
    expect(await outcome).toEqual({ exitCode: 3, output: 'hello' });
  });

  it('may have ended before its call is answered', async () => {
    const { shell, fake, tell } = await rig();
    runs(fake, 'p1');
    const gate = fake.gate('session.shell.exec');
    const outcome = shell.run('s1', 'true');
    await gate.until(1);
    tell('shell.output', { processId: 'p1', stream: 'stdout', data: 'early' });
    tell('shell.exit', { processId: 'p1', exitCode: 0 });
    gate.pass();
    expect(await outcome).toEqual({ exitCode: 0, output: 'early' });
  });

  it('is heard once, however many are attached', async () => {
    const { shell, fake, tell } = await rig(3);
    runs(fake, 'p1');
    const outcome = shell.run('s1', 'echo once');
    await fake.until(({ method }) => method === 'session.shell.exec');
    tell('shell.output', { processId: 'p1', stream: 'stdout', data: 'once' });
    tell('shell.exit', { processId: 'p1', exitCode: 0 });
    expect(await outcome).toEqual({ exitCode: 0, output: 'once' });
  });

  it('is told apart from others that run at the same time', async () => {
    const { shell, fake, tell } = await rig();
    let last = 0;
    fake.answer('session.shell.exec', () => ({ result: { processId: `p${++last}` } }));
    const outcomes = ['one', 'two'].map((command) => shell.run('s1', command));
    await until(() => last === 2);
    tell('shell.output', { processId: 'p2', stream: 'stdout', data: 'second' });
    tell('shell.output', { processId: 'stranger', stream: 'stdout', data: 'nobody\'s' });
    tell('shell.exit', { processId: 'p2', exitCode: 0 });
    tell('shell.output', { processId: 'p1', stream: 'stdout', data: 'first' });
    tell('shell.exit', { processId: 'p1', exitCode: 1 });
    expect(await Promise.all(outcomes)).toEqual([{ exitCode: 1, output: 'first' }, { exitCode: 0, output: 'second' }]);
  });

  it('that cannot be run is undefined, and so is one whose server goes', async () => {
    const { shell, fake } = await rig();
    fake.answer('session.shell.exec', () => ({ error: { code: -32603, message: 'Session not found' } }));
    expect(await shell.run('s1', 'true')).toBeUndefined();
    const gate = fake.gate('session.shell.exec');
    const outcome = shell.run('s1', 'true');
    await gate.until(1);
    fake.dropConnections();
    expect(await outcome).toBeUndefined();
  });

  it('is news for the backend\'s listeners only when nobody waits for it', async () => {
    const { fake, news, tell } = await rig();
    tell('shell.exit', { processId: 'a client\'s', exitCode: 0 });
    await until(() => news.broadcasts.length === 2);
    expect(news.broadcasts.map(({ method }) => method)).toEqual(['shell.exit', 'shell.exit']);
    expect(fake.open).toBe(2);
  });
});
