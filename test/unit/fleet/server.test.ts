/** One run of a server, with scripts in its place. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fleetId, ownMarker } from '../../../proxy/fleet/marker.js';
import { isAlive, processStat } from '../../../proxy/fleet/processes.js';
import { ManagedServer, type ServerSpec } from '../../../proxy/fleet/server.js';

const DIST = join(import.meta.dirname, '../../../dist/proxy/fleet');

let directory: string;
const servers: ManagedServer[] = [];
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'skyport-server-')); });
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop(0)));
  rmSync(directory, { recursive: true, force: true });
});

interface Watched {
  readonly server: ManagedServer;
  readonly lines: string[];
  readonly listens: Promise<void>;
  readonly exit: Promise<string>;
}

function start(script: string, over: Partial<ServerSpec> = {}): Watched {
  const lines: string[] = [];
  let listening!: () => void;
  let gone!: (reason: string) => void;
  const listens = new Promise<void>((resolve) => { listening = resolve; });
  const exit = new Promise<string>((resolve) => { gone = resolve; });
  const server = new ManagedServer({
    command: [process.execPath, '-e', script, '--'], env: {}, directory: join(directory, 'servers', 'managed-1'), startTimeout: 15_000,
    marker: ownMarker(fleetId(join(directory, 'servers')), 'managed-1'), ...over,
  }, { onListening: listening, onExit: gone, onLine: (_, line) => lines.push(line) });
  servers.push(server);
  server.start();
  return { server, lines, listens, exit };
}

const LISTENING = `console.log('CLI server listening on port 4321'); setInterval(() => {}, 1000);`;
/** A command for a secret that tells its pid and does not end. */
const hanging = (file: string) => ({ command: [process.execPath, '-e', `require('fs').writeFileSync(${JSON.stringify(file)}, String(process.pid)); setInterval(() => {}, 1000)`] });

async function pidIn(file: string): Promise<number> {
  while (!existsSync(file) || readFileSync(file, 'utf8') === '') await new Promise((resolve) => { setTimeout(resolve, 10); });
  return Number(readFileSync(file, 'utf8'));
}

describe('a server that is given secrets', () => {
  it('prints their names instead of them', async () => {
    const { server, lines, listens } = start(`console.log('key ' + process.env.MODEL_KEY + ' and ' + process.env.COPILOT_CONNECTION_TOKEN); ${LISTENING}`, {
      env: { MODEL_KEY: { command: ['/bin/echo', 'a-secret-key'] } },
    });
    await listens;
    expect(lines[0]).toBe('key [MODEL_KEY] and [token]');
    expect(server.token).toHaveLength(64);
  });

  it('is not started without one of them, and the reason names it', async () => {
    const { exit, server } = start(LISTENING, { env: { MODEL_KEY: { command: ['/bin/sh', '-c', 'echo hunter2; exit 4'] } } });
    expect(await exit).toBe('could not be started: MODEL_KEY: its command ended with code 4');
    expect(server.pid).toBeUndefined();
    await server.ended;
  });

  it('can be stopped while they are being read', async () => {
    const file = join(directory, 'pid');
    const { exit, server } = start(LISTENING, { env: { MODEL_KEY: hanging(file) } });
    const pid = await pidIn(file);
    const { start: began } = processStat(pid)!;
    await server.stop(10_000);
    expect(await exit).toBe('stopped');
    expect([server.pid, isAlive(pid, began)]).toEqual([undefined, false]);
  });

  it('has its start time-out also for reading them', async () => {
    const { exit, server } = start(LISTENING, { env: { MODEL_KEY: hanging(join(directory, 'pid')) }, startTimeout: 200 });
    expect(await exit).toBe('did not listen within 200 ms');
    await server.ended;
  });
});

describe('a server that cannot be started', () => {
  it('says so where its program is missing, or is none', async () => {
    expect(await start('', { command: ['/nowhere/server'] }).exit).toBe('could not be started: spawn /nowhere/server ENOENT');
    const file = join(directory, 'data');
    writeFileSync(file, '', { mode: 0o600 });
    expect(await start('', { command: [file] }).exit).toBe(`could not be started: spawn ${file} EACCES`);
  });

  it('does not bring Skyport down where there are no descriptors left', async () => {
    const script = `
      const fs = require('node:fs');
      Promise.all(['server', 'marker', 'secrets'].map((name) => import(${JSON.stringify(DIST)} + '/' + name + '.js'))).then(async ([{ ManagedServer }, { ownMarker }, { readEnvironment }]) => {
        const open = [];
        const server = new ManagedServer({
          command: ['/bin/sleep', '100'], env: {}, directory: ${JSON.stringify(join(directory, 'home', 'x'))}, startTimeout: 5000, marker: ownMarker('0'.repeat(32), 'x'),
        }, { onListening() {}, onLine() {}, onExit: (reason) => { for (const one of open) fs.closeSync(one); console.log(reason); } });
        try { for (;;) open.push(fs.openSync('/dev/null')); } catch {}
        console.log(JSON.stringify(await readEnvironment({ KEY: { command: ['/bin/echo', 'x'] } })));
        server.start();
        await server.ended;
      });`;
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, '-e', script]);
    expect(stdout).toMatch(/^{"failure":"KEY: its command cannot be run: E[A-Z]+"}\ncould not be started: .*E[A-Z]+\n$/);
  });
});
