import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { fleetId, formatMarker, ownMarker } from '../../proxy/fleet/marker.js';
import { isAlive, processStat } from '../../proxy/fleet/processes.js';
import { Scope, scopeOfEachTest } from './scope.js';
import { endServersIn, removeTemporary, temporary } from './temporary.js';

const scope = scopeOfEachTest();

/** A directory as a Skyport has it whose `store.path` is `data`. */
function place(): { readonly directory: string; readonly fleet: string } {
  const directory = temporary('skyport-');
  scope.after(() => removeTemporary(directory));
  return { directory, fleet: fleetId(path.join(directory, 'data', 'servers')) };
}

/** A process with the mark of a managed server of the fleet. */
async function server(fleet: string): Promise<() => boolean> {
  const child = spawn('/bin/sleep', ['1000'], {
    stdio: 'ignore', detached: true, cwd: '/', env: { SKYPORT_MANAGED: formatMarker(ownMarker(fleet, 'managed-1.1')) },
  });
  scope.after(() => void child.kill('SIGKILL'));
  await once(child, 'spawn');
  const { start } = processStat(child.pid!)!;
  return () => isAlive(child.pid!, start);
}

describe('a temporary directory', () => {
  it('has the servers of its own Skyport ended, and no other ones', async () => {
    const [mine, others] = [place(), place()];
    const runs = [await server(mine.fleet), await server(mine.fleet), await server(others.fleet)];
    expect(await endServersIn(mine.directory)).toBe(2);
    expect(runs.map((one) => one())).toEqual([false, false, true]);
    expect(await endServersIn(mine.directory)).toBe(0);
  });

  it('is removed with all that is in it, when what works in it has ended', async () => {
    const { directory, fleet } = place();
    mkdirSync(path.join(directory, 'work', 'of', 'somebody'), { recursive: true });
    const runs = await server(fleet);
    await removeTemporary(directory);
    expect([runs(), existsSync(directory)]).toEqual([false, false]);
  });
});

describe('a scope that is closed', () => {
  it('stops at once what comes late, and keeps what comes after it was opened again', async () => {
    const stopped: string[] = [];
    const thing = (name: string) => ({ stop: () => Promise.resolve(stopped.push(name)) });
    const late = new Scope();
    late.own(thing('first'));
    await late.close();
    late.own(thing('late'));
    await vi.waitFor(() => expect(stopped).toEqual(['first', 'late']));
    late.open();
    late.own(thing('next'));
    expect(stopped).toEqual(['first', 'late']);
    await late.close();
    expect(stopped).toEqual(['first', 'late', 'next']);
  });
});

describe('ports', () => {
  it('are given once, also to another process of tests', async () => {
    const draw = async (): Promise<number[]> => {
      vi.resetModules();
      return (await import('./ports.js')).freePorts(150);
    };
    const ports = [...await draw(), ...await draw()];
    expect(new Set(ports).size).toBe(300);
    expect(ports.filter((port) => port <= 16_000 || port >= 32_000)).toEqual([]);
  });
});
