/** What is left of servers, whoever it runs as. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { formatMarker, ownMarker } from '../../../proxy/fleet/marker.js';
import { endServer } from '../../../proxy/fleet/orphans.js';
import { isAlive, processesWith, processStat } from '../../../proxy/fleet/processes.js';

vi.mock('../../../proxy/fleet/processes.js', async (original) => {
  const real = await original<typeof import('../../../proxy/fleet/processes.js')>();
  return { ...real, processesWith: vi.fn(real.processesWith) };
});

const ROOT = process.geteuid?.() === 0;
const FLEET = '0123456789abcdef0123456789abcde0';
const DIST = join(import.meta.dirname, '../../../dist/proxy/fleet/orphans.js');

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  vi.mocked(processesWith).mockClear();
});

/** A process of a server, in a session of its own. */
async function leftBy(server: string, as: { uid?: number; gid?: number } = {}): Promise<{ child: ChildProcess; runs(): boolean }> {
  const child = spawn('/bin/sleep', ['1000'], {
    stdio: 'ignore', detached: true, cwd: '/', env: { SKYPORT_MANAGED: formatMarker(ownMarker(FLEET, server)) }, ...as,
  });
  started.push(child);
  await once(child, 'spawn');
  const { start } = processStat(child.pid!)!;
  return { child, runs: () => isAlive(child.pid!, start) };
}

describe('the end of a server', () => {
  it('is the end of its processes, and of no other server\'s', async () => {
    const [mine, other] = [await leftBy('managed-1.1'), await leftBy('managed-1.2')];
    expect(await endServer(ownMarker(FLEET, 'managed-1.1'))).toBe(1);
    expect([mine.runs(), other.runs()]).toEqual([false, true]);
  });

  it('shares its looks at all processes with others that end at the same time', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `managed-${index}`);
    const left = await Promise.all(names.map((name) => leftBy(name)));
    const killed = await Promise.all(names.map((name) => endServer(ownMarker(FLEET, name))));
    expect(killed).toEqual(names.map(() => 1));
    expect(left.filter(({ runs }) => runs())).toEqual([]);
    expect(vi.mocked(processesWith).mock.calls.length).toBeLessThan(15);
  });

  it('does not take a look that failed for one that found nothing', async () => {
    const mine = await leftBy('managed-1');
    vi.mocked(processesWith).mockRejectedValueOnce(new Error('EMFILE'));
    expect(await endServer(ownMarker(FLEET, 'managed-1'))).toBe(1);
    expect(mine.runs()).toBe(false);
  });

  it('is not waited for for ever when no look succeeds', async () => {
    vi.mocked(processesWith).mockRejectedValue(new Error('EMFILE'));
    expect(await endServer(ownMarker(FLEET, 'managed-1'))).toBe(0);
    vi.mocked(processesWith).mockReset();
    const { processesWith: real } = await vi.importActual<typeof import('../../../proxy/fleet/processes.js')>('../../../proxy/fleet/processes.js');
    vi.mocked(processesWith).mockImplementation(real);
  });
});

describe.runIf(ROOT)('the end of a server that runs as another user', () => {
  it('is the end of its processes', async () => {
    const mine = await leftBy('managed-1', { uid: 63_001, gid: 63_009 });
    expect(await endServer(ownMarker(FLEET, 'managed-1'))).toBe(1);
    expect(mine.runs()).toBe(false);
  });

  it.each([
    ['nothing of other users\' processes, as in most containers', '-sys_ptrace,-perfmon,-sys_admin'],
    ['their environments alone', '-sys_ptrace'],
  ])('is so too where root may read %s', async (_, without) => {
    const [mine, other] = [await leftBy('managed-1', { uid: 63_001, gid: 63_009 }), await leftBy('managed-2', { uid: 63_001, gid: 63_009 })];
    const marker = JSON.stringify(ownMarker(FLEET, 'managed-1'));
    const script = `import(${JSON.stringify(DIST)}).then(({ endServer }) => endServer(${marker}, 63001)).then((killed) => console.log('killed ' + killed))`;
    const root = spawn('setpriv', [`--bounding-set=${without}`, process.execPath, '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    started.push(root);
    let said = '';
    root.stdout.on('data', (chunk: Buffer) => { said += chunk.toString(); });
    await once(root, 'close');
    expect(said).toBe('killed 1\n');
    expect([mine.runs(), other.runs()]).toEqual([false, true]);
  });
});
