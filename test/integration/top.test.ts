/** `skyport status` and `skyport top` of the real program, in a real terminal. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import type { Snapshot } from '../../proxy/observe/snapshot.js';
import { Pty } from '../support/pty.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Site } from '../support/site.js';

const MAIN = fileURLToPath(new URL('../../dist/proxy/main.js', import.meta.url));
const scope = scopeOfEachTest();

function command(site: Site, ...args: string[]): string[] {
  return [process.execPath, MAIN, 'top', '--interval', '100ms', '--socket', path.join(site.skyport.directory, 'data', 'skyport.sock'), ...args];
}

function top(site: Site, ...args: string[]): Pty {
  return scope.own(Pty.start(command(site, ...args)));
}

it('shows servers and users while they work, and q gives the terminal back as it was', async () => {
  const site = await Site.start(scope, { managed: 2 });
  const session = await site.client().createSession(site.session());
  await session.sendAndWait({ prompt: 'Hello' });
  const pty = top(site);
  await pty.until(({ text }) => /^managed-1 +shared +up /m.test(text) && /^managed-2 +shared +up /m.test(text) && /^alice +shared +1 +1 /m.test(text));
  expect(pty.screen).toMatchObject({ alternate: true, cursorVisible: false, unknown: [] });
  pty.type('u');
  await pty.until(({ text }) => !text.includes('alice'));
  pty.type('q');
  const { code, before, after } = await pty.end();
  expect([code, after]).toEqual([0, before]);
  expect(pty.screen).toMatchObject({ alternate: false, cursorVisible: true, wrapping: true });
});

it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('gives the terminal back as it was after %s', async (signal) => {
  const site = await Site.start(scope, { managed: 1 });
  const pty = top(site);
  await pty.until(({ text }) => text.includes('managed-1'));
  process.kill(pty.pid, signal);
  const { code, before, after } = await pty.end();
  expect([code, after]).toEqual([{ SIGTERM: 143, SIGINT: 130, SIGHUP: 129 }[signal], before]);
  expect(pty.screen).toMatchObject({ alternate: false, cursorVisible: true, wrapping: true });
});

it('fills a terminal of another size, and goes on where no shell can stop it', async () => {
  const site = await Site.start(scope, { managed: 1 });
  const pty = top(site);
  await pty.until(({ text }) => text.includes('managed-1'));
  pty.resize(12, 100);
  await pty.until(({ lines }) => lines.length === 12 && lines.every((line) => line.length <= 100) && lines.some((line) => line.startsWith('managed-1')));
  pty.type('\u001a');
  await pty.until(({ alternate }) => !alternate);
  await pty.until(({ alternate, text }) => alternate && text.includes('managed-1'));
  pty.type('q');
  const { code, before, after } = await pty.end();
  expect([code, after]).toEqual([0, before]);
});

it('ends with its terminal', async () => {
  const site = await Site.start(scope, { managed: 1 });
  const pty = top(site);
  await pty.until(({ text }) => text.includes('managed-1'));
  await pty.hangUp();
});

it('outlives Skyport, and shows the next one as soon as it answers', async () => {
  const site = await Site.start(scope, { managed: 1 });
  const pty = top(site);
  await pty.until(({ text }) => text.includes('managed-1'));
  await site.skyport.halt('SIGTERM');
  await pty.until(({ text }) => text.includes('Skyport does not answer, trying again: No Skyport runs here') && text.includes('managed-1'));
  await site.skyport.run();
  await pty.until(({ text }) => !text.includes('does not answer') && /^managed-1 +shared +up /m.test(text));
  pty.type('\u0003');
  expect((await pty.end()).code).toBe(0);
});

it('prints plain tables where stdout is no terminal, with the rates of what happens between them', async () => {
  const site = await Site.start(scope, { managed: 1 });
  const { code, stdout, stderr } = await site.skyport.cli(command(site, '--count', '2').slice(2));
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).not.toContain('\u001b');
  expect(stdout.match(/^managed-1 +shared +up .* \d+ +-$/gm)).toHaveLength(2);
  expect([...stdout.matchAll(/turns 0 open, 0 queued, (\S+)$/gm)].map(([, rate]) => rate)).toEqual(['-/s', '0.0/s']);
});

it('status names the users at work', async () => {
  const site = await Site.start(scope, { managed: 1 });
  await site.client('bob').createSession(site.session());
  const { stdout } = await site.skyport.cli(['status']);
  expect(stdout).toMatch(/^USER +SESSIONS +LOADED +TURNS +QUEUED\nbob +1 +1 +0 +0$/m);
  const { users, userTotals } = await site.status();
  expect(users).toEqual([{ user: 'bob', sessions: 1, loaded: 1, turnsOpen: 0, turnsQueued: 0, roles: ['user'] }]);
  expect(userTotals).toMatchObject({ users: 1, active: 1 });
});

it('status says since when a backend is drained', async () => {
  const site = await Site.start(scope, { managed: 2 });
  await site.untilState('managed-1', 'up');
  await site.skyport.cli(['drain', 'managed-1']);
  const drainedSince = async (wanted: boolean): Promise<number | undefined> => {
    const since = ({ backends }: Snapshot): number | undefined => backends.find(({ name }) => name === 'managed-1')!.drainingSince;
    return since(await site.until((status) => (since(status) !== undefined) === wanted));
  };
  expect(await drainedSince(true)).toBeLessThanOrEqual(Date.now());
  expect((await site.skyport.cli(['status'])).stdout).toMatch(/^managed-1 .*draining for \d+s$/m);
  await site.skyport.cli(['undrain', 'managed-1']);
  expect(await drainedSince(false)).toBeUndefined();
});
