/** On a tree of plain files in the places of the kernel's; fleet-confinement.test.ts has the real thing. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Cgroups, ownDirectory } from '../../../proxy/fleet/cgroup.js';

const FLEET = '0123456789abcdef0123456789abcdef';
const MARKER = { fleet: FLEET, parentPid: 12, parentStart: 345, server: 'managed-1' };

let own: string;
let fleet: string;
let server: string;
beforeEach(() => {
  own = mkdtempSync(join(tmpdir(), 'skyport-cgroup-'));
  fleet = join(own, 'skyport-0123456789abcdef');
  server = join(fleet, '12-345.managed-1');
});
afterEach(() => rmSync(own, { recursive: true, force: true }));

/** A cgroup as the kernel would make it. */
function cgroup(directory: string, files: Record<string, string> = {}): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries({ 'cgroup.procs': '', 'cgroup.controllers': '', 'cgroup.subtree_control': '', ...files })) {
    writeFileSync(join(directory, name), text);
  }
}
const read = (directory: string, file: string) => readFileSync(join(directory, file), 'utf8');

describe('the cgroup of this process', () => {
  const mount = (root: string, point: string) => `25 1 0:22 / /proc rw - proc proc rw\n36 25 0:30 ${root} ${point} rw,nosuid shared:9 - cgroup2 cgroup2 rw\n`;

  it('lies where cgroup v2 is mounted, alone or beside version 1', () => {
    expect(ownDirectory('0::/system.slice/skyport.service\n', mount('/', '/sys/fs/cgroup'))).toBe('/sys/fs/cgroup/system.slice/skyport.service');
    expect(ownDirectory('4:memory:/a\n0::/\n', mount('/', '/sys/fs/cgroup/unified'))).toBe('/sys/fs/cgroup/unified');
    expect(ownDirectory('0::/\n', mount('/', '/with\\040space'))).toBe('/with space');
  });

  it('is found from within a container that has only its part mounted', () => {
    expect(ownDirectory('0::/docker/abc/inner\n', mount('/docker/abc', '/sys/fs/cgroup'))).toBe('/sys/fs/cgroup/inner');
    expect(ownDirectory('0::/docker/abc\n', mount('/docker/abc', '/sys/fs/cgroup'))).toBe('/sys/fs/cgroup');
    expect(ownDirectory('0::/docker/abcdef\n', mount('/docker/abc', '/sys/fs/cgroup'))).toBeUndefined();
  });

  it('is none where only version 1 is', () => {
    expect(ownDirectory('4:memory:/a\n', mount('/', '/sys/fs/cgroup'))).toBeUndefined();
    expect(ownDirectory('0::/a\n', '25 1 0:22 / /proc rw - proc proc rw\n')).toBeUndefined();
  });
});

describe('a server\'s cgroup', () => {
  it('has the limits that its controllers can keep', () => {
    cgroup(own, { 'cgroup.controllers': 'cpu io memory pids', 'cgroup.procs': String(process.pid) });
    cgroup(fleet);
    cgroup(server, { 'memory.max': 'max', 'memory.swap.max': 'max', 'memory.oom.group': '0', 'pids.max': 'max' });
    const made = new Cgroups(own, FLEET).make(MARKER, { memory: 1_000_000, processes: 50 });
    expect([...made!.bounded].sort()).toEqual(['memory', 'pids']);
    const written = (file: string) => read(server, file).split('\n')[0];
    expect(written('memory.max')).toBe('1000000');
    // A plain file keeps the end of what was longer.
    expect([written('memory.swap.max'), written('memory.oom.group'), written('pids.max')]).toEqual(['0', '1', '50']);
  });

  it('does without those that are not there', () => {
    cgroup(own, { 'cgroup.controllers': 'hugetlb pids' });
    cgroup(fleet);
    cgroup(server, { 'pids.max': 'max' });
    const made = new Cgroups(own, FLEET).make(MARKER, { memory: 1_000_000, processes: 50 });
    expect([...made!.bounded]).toEqual(['pids']);
    expect(read(own, 'cgroup.subtree_control')).toBe('+pids\n');
    expect(read(fleet, 'cgroup.subtree_control')).toBe('+pids\n');
  });

  it('asks for no controllers where nothing is limited', () => {
    cgroup(own, { 'cgroup.controllers': 'memory pids' });
    const made = new Cgroups(own, FLEET).make(MARKER, {});
    expect([...made!.bounded]).toEqual([]);
    expect(read(own, 'cgroup.subtree_control')).toBe('');
    expect(existsSync(server)).toBe(true);
  });

  it('is none where none can be made', () => {
    writeFileSync(fleet, 'in the way');
    expect(new Cgroups(own, FLEET).make(MARKER, {})).toBeUndefined();
  });

  it('takes a process in, and kills all with one write', () => {
    cgroup(server, { 'cgroup.kill': '' });
    const { cgroup: made } = new Cgroups(own, FLEET).make(MARKER, {})!;
    expect(made.add(4321)).toBe(true);
    expect(read(server, 'cgroup.procs')).toBe('4321\n');
    made.kill();
    expect(read(server, 'cgroup.kill')).toBe('1\n');
  });

  it('knows whether the kernel has ended something for want of memory', () => {
    cgroup(server, { 'memory.events': 'low 0\nmax 7\noom 1\noom_kill 0\n' });
    const { cgroup: made } = new Cgroups(own, FLEET).make(MARKER, {})!;
    expect(made.ranOut()).toBe(false);
    writeFileSync(join(server, 'memory.events'), 'low 0\nmax 7\noom 1\noom_kill 2\n');
    expect(made.ranOut()).toBe(true);
  });

  it('counts also what is in cgroups below it', () => {
    cgroup(server, { 'cgroup.procs': '5\n6\n' });
    cgroup(join(server, 'inner'), { 'cgroup.procs': '7\n' });
    expect(new Cgroups(own, FLEET).make(MARKER, {})!.cgroup.processes()).toEqual([5, 6, 7]);
  });
});

describe('the cgroups of earlier Skyports', () => {
  it('are emptied and taken away, and those of one that lives are not', async () => {
    mkdirSync(join(fleet, '77-1.managed-1'), { recursive: true });
    mkdirSync(join(fleet, '88-1.managed-1'));
    mkdirSync(join(fleet, 'something else'));
    await new Cgroups(own, FLEET).endOrphans((pid, start) => pid === 88 && start === 1);
    expect(['77-1.managed-1', '88-1.managed-1', 'something else'].map((name) => existsSync(join(fleet, name)))).toEqual([false, true, true]);
  });

  it('of other fleets are taken away when they are empty', async () => {
    const other = join(own, 'skyport-fedcba9876543210');
    mkdirSync(join(other, '77-1.managed-1'), { recursive: true });
    mkdirSync(join(own, 'skyport'));
    await new Cgroups(own, FLEET).endOrphans(() => false);
    expect([existsSync(other), existsSync(join(own, 'skyport'))]).toEqual([false, true]);
  });
});
