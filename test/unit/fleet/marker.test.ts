import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fleetId, formatMarker, ownMarker, parseMarker } from '../../../proxy/fleet/marker.js';

const FLEET = '0123456789abcdef0123456789abcdef';

describe('a marker', () => {
  it('reads back as it was written', () => {
    const marker = { fleet: FLEET, parentPid: 4321, parentStart: 987654, server: 'managed-12' };
    expect(formatMarker(marker)).toBe(`${FLEET}/4321-987654/managed-12`);
    expect(parseMarker(formatMarker(marker))).toEqual(marker);
  });

  it('is not read from anything else', () => {
    for (const text of ['', 'true', FLEET, `${FLEET}/1-2/`, `${FLEET}/1/managed-1`, `${FLEET.slice(1)}/1-2/managed-1`, `${FLEET}/1-2/a/b`, ` ${FLEET}/1-2/a`]) {
      expect(parseMarker(text)).toBeUndefined();
    }
  });

  it('names this process as the parent', () => {
    expect(ownMarker(FLEET, 'managed-1').parentPid).toBe(process.pid);
  });
});

describe('the name of a fleet', () => {
  const directories: string[] = [];
  const fresh = () => {
    const directory = mkdtempSync(join(tmpdir(), 'skyport-fleet-'));
    directories.push(directory);
    return join(directory, 'store', 'servers');
  };
  afterEach(() => {
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  });

  it('is made once for a directory', () => {
    const directory = fresh();
    expect(fleetId(directory)).toMatch(/^[0-9a-f]{32}$/);
    expect(fleetId(directory)).toBe(fleetId(directory));
    expect(fleetId(fresh())).not.toBe(fleetId(directory));
  });

  it('is made anew when a crash tore its file', () => {
    const directory = fresh();
    fleetId(directory);
    writeFileSync(join(directory, 'fleet.id'), '0123');
    const again = fleetId(directory);
    expect(again).toMatch(/^[0-9a-f]{32}$/);
    expect(readFileSync(join(directory, 'fleet.id'), 'utf8').trim()).toBe(again);
  });

  it('is kept where only this user looks', () => {
    const directory = fresh();
    fleetId(directory);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });
});
