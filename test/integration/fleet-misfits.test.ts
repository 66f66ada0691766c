/** The fleet with servers that do not behave: scripts stand in for the CLI server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { FleetRig, isRunning, LISTENING, until } from './fleet-rig.js';

let rig: FleetRig;
afterEach(() => rig.close());

/** Starts two processes, one in the server's group and one in a session of its own, and prints their pids. */
const WITH_CHILDREN = `
  const { spawn } = require('node:child_process');
  const idle = ['-e', 'setInterval(() => {}, 1000)'];
  const inside = spawn(process.execPath, idle, { stdio: 'ignore' });
  const outside = spawn(process.execPath, idle, { stdio: 'ignore', detached: true });
  console.log('children ' + inside.pid + ' ' + outside.pid);
`;

function children(): number[] {
  return rig.lines.flatMap((line) => /children (\d+) (\d+)$/.exec(line)?.slice(1).map(Number) ?? []);
}

describe('what a server started', () => {
  it('ends with it when it is killed', async () => {
    rig = new FleetRig();
    rig.update({ command: rig.script('server.cjs', WITH_CHILDREN + LISTENING) });
    rig.start();
    const server = await rig.readyAgain('managed-1');
    const started = children();
    expect(started.map(isRunning)).toEqual([true, true]);
    process.kill(server.pid, 'SIGKILL');
    await rig.readyAgain('managed-1', 2);
    expect(started.map(isRunning)).toEqual([false, false]);
  });

  it('ends with it when it exits by itself', async () => {
    rig = new FleetRig({ restartBackoff: { min: 60_000, max: 60_000 } });
    rig.update({ command: rig.script('server.cjs', `${WITH_CHILDREN}${LISTENING} setTimeout(() => process.exit(3), 200);`) });
    rig.start();
    await rig.readyAgain('managed-1');
    await until(() => rig.gone.length > 0, 'exit');
    const started = children();
    await until(() => !started.some(isRunning), 'the children gone');
    expect(started).toHaveLength(2);
    expect(rig.gone).toEqual([{ name: 'managed-1', reason: 'exited with code 3' }]);
  });

  it('ends with it when the fleet is stopped', async () => {
    rig = new FleetRig({ count: 2 });
    rig.update({ command: rig.script('server.cjs', WITH_CHILDREN + LISTENING) });
    rig.start();
    await rig.readyAgain('managed-1');
    await rig.readyAgain('managed-2');
    await rig.fleet.stop();
    expect(children().map(isRunning)).toEqual([false, false, false, false]);
  });
});

describe('a child in the process group of a server', () => {
  it('ends with it also when its environment does not lead to it', async () => {
    rig = new FleetRig({ restartBackoff: { min: 60_000, max: 60_000 } });
    rig.update({ command: rig.script('server.cjs', `
      const options = { stdio: 'ignore', env: {} };
      const { pid } = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], options);
      console.log('children ' + pid + ' ' + pid);
      ${LISTENING}`) });
    rig.start();
    const server = await rig.readyAgain('managed-1');
    const [child] = children();
    expect(isRunning(child!)).toBe(true);
    process.kill(server.pid, 'SIGKILL');
    await until(() => rig.gone.length > 0 && !isRunning(child!), 'the child gone');
    expect(rig.gone).toHaveLength(1);
  });
});

describe('a server that', () => {
  it('does not listen in time is killed and started again', async () => {
    rig = new FleetRig({ startTimeout: 300 });
    rig.update({ command: rig.script('server.cjs', `console.log('pid ' + process.pid); setInterval(() => {}, 1000);`) });
    rig.start();
    await until(() => rig.failed.length >= 2, 'two failed starts');
    expect(rig.failed[0]).toMatchObject({ name: 'managed-1', reason: 'did not listen within 300 ms' });
    expect(rig.ready).toEqual([]);
    expect(rig.gone).toEqual([]);
  });

  it('ignores SIGTERM is killed after stop_timeout', async () => {
    rig = new FleetRig({ stopTimeout: 1_000 });
    rig.update({ command: rig.script('server.cjs', `process.on('SIGTERM', () => console.log('no')); ${LISTENING}`) });
    rig.start();
    const server = await rig.readyAgain('managed-1');
    await rig.fleet.stop();
    expect(rig.lines).toContain('managed-1 stdout: no');
    expect(isRunning(server.pid)).toBe(false);
  });

  it('is stopped cannot answer SIGTERM and is killed after stop_timeout', async () => {
    rig = new FleetRig({ stopTimeout: 200 });
    rig.start();
    const server = await rig.readyAgain('managed-1');
    process.kill(server.pid, 'SIGSTOP');
    await rig.fleet.stop();
    expect(isRunning(server.pid)).toBe(false);
  });

  it('does not exist is reported with the reason', async () => {
    rig = new FleetRig({ command: ['/no/such/server'], restartBackoff: { min: 60_000, max: 60_000 } });
    rig.start();
    await until(() => rig.failed.length > 0, 'a failed start');
    expect(rig.failed).toEqual([{ name: 'managed-1', reason: 'could not be started: spawn /no/such/server ENOENT', retryIn: 60_000 }]);
    expect(rig.fleet.list()[0]).toMatchObject({ state: 'waiting', lastExit: 'could not be started: spawn /no/such/server ENOENT' });
  });

  it('dies again and again is shown as a crash loop, with longer and longer waits', async () => {
    rig = new FleetRig({ restartBackoff: { min: 10, max: 1_000 } });
    rig.update({ command: rig.script('server.cjs', 'process.exit(7)') });
    rig.start();
    await until(() => rig.failed.length >= 5, 'five failed starts');
    const waits = rig.failed.slice(0, 5).map(({ retryIn }) => retryIn);
    expect(waits[0]).toBe(10);
    // 10 * 2^4, less up to half.
    expect(waits[4]).toBeGreaterThanOrEqual(80);
    expect(rig.fleet.list()[0]).toMatchObject({ crashLoop: true, lastExit: 'exited with code 7' });
  });

  it('prints its token has it blanked out', async () => {
    rig = new FleetRig();
    rig.update({ command: rig.script('server.cjs', `console.error('my token is ' + process.env.COPILOT_CONNECTION_TOKEN); ${LISTENING}`) });
    rig.start();
    await rig.readyAgain('managed-1');
    await until(() => rig.lines.some((line) => line.includes('stderr')), 'a line on stderr');
    expect(rig.lines).toContain('managed-1 stderr: my token is [token]');
  });

  it('prints without end neither stops nor floods anybody', async () => {
    rig = new FleetRig();
    const flood = `const line = 'x'.repeat(1000) + '\\n'; const more = () => process.stderr.write(line.repeat(500), more); more();`;
    rig.update({ command: rig.script('server.cjs', `${LISTENING} ${flood}`) });
    rig.start();
    await rig.readyAgain('managed-1');
    await until(() => rig.lines.length >= 200, 'the first lines');
    await until(() => rig.lines.some((line) => line.includes('lines dropped)')), 'a count of dropped lines');
    expect(rig.lines.length).toBeLessThan(2_000);
  });
});

describe('the command line of a server', () => {
  it('is the command, and the arguments that make it a server on a loopback port', async () => {
    rig = new FleetRig();
    rig.update({ command: [...rig.script('server.cjs', `console.log(process.argv.slice(2).join(' ')); ${LISTENING}`), '--mine'] });
    rig.start();
    await rig.readyAgain('managed-1');
    expect(rig.lines).toContain('managed-1 stdout: --mine --headless --no-auto-update --port 0 --host 127.0.0.1');
  });

  it('and its environment hold nothing of Skyport\'s own', async () => {
    rig = new FleetRig();
    process.env['SKYPORT_TEST_SECRET'] = 'do-not-pass-on';
    try {
      rig.update({ command: rig.script('server.cjs', LISTENING) });
      rig.start();
      const server = await rig.readyAgain('managed-1');
      expect(readFileSync(`/proc/${server.pid}/environ`, 'latin1')).not.toContain('do-not-pass-on');
      expect(readFileSync(`/proc/${server.pid}/cmdline`, 'latin1')).not.toContain(server.token);
    } finally {
      delete process.env['SKYPORT_TEST_SECRET'];
    }
  });

  it('runs in a directory of its own, which only this user may enter', async () => {
    rig = new FleetRig();
    rig.update({ command: rig.script('server.cjs', `
      const { statSync } = require('node:fs');
      console.log(process.cwd() + ' ' + (statSync(process.env.COPILOT_HOME).mode & 0o777).toString(8)); ${LISTENING}`) });
    rig.start();
    await rig.readyAgain('managed-1');
    expect(rig.lines).toContain(`managed-1 stdout: ${join(rig.directory, 'servers', 'managed-1')} 700`);
  });
});
