/**
 * What servers of one's own cost, with the CLI server that comes with the SDK.
 *
 *   npx tsc -p tsconfig.json --noEmit false --outDir build
 *   node build/bench/fleet.js start [users] [spares]   servers a second, memory a server, the first answer of new users
 *   node build/bench/fleet.js cycles [cycles]          starts, stops, kills and renewals: what is left after them
 *
 * Processes are counted by their marker and memory is read from /proc, so it runs on Linux.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MARKER_VARIABLE } from '../proxy/fleet/marker.js';
import type { ReadyServer } from '../proxy/fleet/member.js';
import { processesWith } from '../proxy/fleet/processes.js';
import { Fleet, type FleetEvents, type FleetOptions } from '../proxy/fleet/supervisor.js';

/** Users that cycle side by side, and how many servers start, stop or die at one time. */
const CYCLING = 40;
const AT_ONCE = 8;

const directory = mkdtempSync(join(tmpdir(), 'skyport-bench-fleet-'));

function options(over: Partial<FleetOptions['tenants']> = {}): FleetOptions {
  return {
    count: 0, env: { COPILOT_OFFLINE: 'true' }, directory: join(directory, 'servers'), startTimeout: 60_000, stopTimeout: 10_000,
    // A crash loop is what the cycles are: it must not wait.
    restartBackoff: { min: 1, max: 1 },
    tenants: { maxServers: 10_000, spares: 0, idleStop: 3_600_000, wait: 120_000, waiting: 10_000, users: {}, ...over },
  };
}

async function collected(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let n = 0; n < 3; n++) {
    collect();
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

/** MB of resident memory, and what of it is shared with nobody. */
function memoryOf(pid: number): { rss: number; own: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024;
  return { rss: field('Rss'), own: field('Private_Clean') + field('Private_Dirty') };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

const inMegabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`;

async function start(users: number, spares: number): Promise<void> {
  const servers = new Map<string, ReadyServer>();
  const fleet = new Fleet(options({ spares }), { onReady: (server) => servers.set(server.name, server), onGone: () => {}, onLine: () => {} });
  fleet.start();
  await collected();
  const before = process.memoryUsage();
  const cpu = process.cpuUsage();
  const began = performance.now();
  const claims = await Promise.all(Array.from({ length: users }, (_, n) => fleet.claim(`user-${n}`)));
  const took = performance.now() - began;
  const spent = process.cpuUsage(cpu);
  if (claims.some((claim) => 'refused' in claim)) throw new Error(JSON.stringify(claims.find((claim) => 'refused' in claim)));
  console.log(`${users} servers in ${(took / 1000).toFixed(2)} s: ${(users / took * 1000).toFixed(1)} servers/s, `
    + `${((spent.user + spent.system) / 1000 / users).toFixed(1)} ms of Skyport's CPU each`);
  await collected();
  const after = process.memoryUsage();
  console.log(`Skyport's own memory a server: ${inMegabytes((after.rss - before.rss) / users)} resident, ${inMegabytes((after.heapUsed - before.heapUsed) / users)} of heap`);
  const memory = [...servers.values()].map(({ pid }) => memoryOf(pid));
  console.log(`a server's memory, median: ${median(memory.map(({ rss }) => rss)).toFixed(1)} MB resident, ${median(memory.map(({ own }) => own)).toFixed(1)} MB of its own`);

  if (spares > 0) {
    const firsts: number[] = [];
    for (let n = 0; n < 20; n++) {
      fleet.tick(Date.now());
      while (fleet.list().filter(({ tenancy, state }) => tenancy.kind === 'spare' && state === 'ready').length < spares) {
        await new Promise((resolve) => { setTimeout(resolve, 5); });
      }
      const asked = performance.now();
      await fleet.claim(`newcomer-${n}`);
      firsts.push(performance.now() - asked);
    }
    console.log(`a claim of a new user with a spare, median of ${firsts.length}: ${median(firsts).toFixed(2)} ms`);
  }
  const stopping = performance.now();
  const cpuBefore = process.cpuUsage();
  await fleet.stop();
  const { user, system } = process.cpuUsage(cpuBefore);
  console.log(`all stopped in ${((performance.now() - stopping) / 1000).toFixed(2)} s, ${((user + system) / 1_000_000).toFixed(2)} s of Skyport's CPU`);
}

/** One fleet, on which a few users' servers are started, stopped, killed and renewed again and again. */
class Cycles {
  readonly #toStop = new Set<string>();
  readonly #waiting = new Map<string, (server: ReadyServer) => void>();
  readonly #servers = new Map<string, ReadyServer>();
  readonly #ended = new Map<string, () => void>();
  readonly counts = { stop: 0, kill: 0, renew: 0, 'kill at start': 0 };
  readonly fleet: Fleet;

  constructor() {
    const ready = (server: ReadyServer): void => {
      this.#servers.set(server.name, server);
      this.#waiting.get(server.name)?.(server);
    };
    const events: FleetEvents = {
      onReady: ready, onSucceeded: ready, onGone: () => {}, onLine: () => {},
      onRemoved: (name) => { void this.fleet.retire(name).then(() => this.#ended.get(name)?.()); },
      use: (name) => ({ busy: !this.#toStop.has(name), usedAt: 0 }),
    };
    this.fleet = new Fleet(options({ idleStop: 1 }), events);
    this.fleet.start();
  }

  async cycle(user: string, n: number): Promise<void> {
    const kind = (['stop', 'kill', 'renew', 'kill at start'] as const)[n % 4]!;
    this.counts[kind]++;
    // A kill at the start makes this claim wait for the next one.
    const claim = this.fleet.claim(user);
    if (kind === 'kill at start') {
      const name = this.fleet.serverOf(user)!;
      this.fleet.kill(name, 'the bench');
    }
    const answer = await claim;
    const name = 'name' in answer ? answer.name : this.fleet.serverOf(user)!;
    if ('refused' in answer) await this.#nextReady(name);
    const server = this.#servers.get(name)!;
    if (kind === 'kill') {
      const again = this.#nextReady(name);
      process.kill(server.pid, 'SIGKILL');
      await again;
    } else if (kind === 'renew' && this.fleet.renew(name, 'the bench')) {
      await this.#nextReady(name);
      await this.fleet.retire(name, server.run);
    } else if (kind === 'stop') {
      const ended = new Promise<void>((resolve) => { this.#ended.set(name, resolve); });
      this.#toStop.add(name);
      this.fleet.tick(Date.now() + 1_000);
      await ended;
      this.#toStop.delete(name);
      this.#ended.delete(name);
    }
  }

  #nextReady(name: string): Promise<ReadyServer> {
    return new Promise((resolve) => {
      this.#waiting.set(name, (server) => {
        this.#waiting.delete(name);
        resolve(server);
      });
    });
  }
}

async function gauges(): Promise<string> {
  await collected();
  const { rss, heapUsed } = process.memoryUsage();
  const processes = (await processesWith(MARKER_VARIABLE)).filter(({ value }) => value.includes(`/${process.pid}-`)).length;
  const active = process.getActiveResourcesInfo().length;
  return `${processes} processes, ${readdirSync('/proc/self/fd').length} open files, ${active} handles, ${inMegabytes(rss)} resident, ${inMegabytes(heapUsed)} of heap`;
}

async function cycles(count: number): Promise<void> {
  const bench = new Cycles();
  let next = 0;
  const work = async (until: number, worker: number): Promise<void> => {
    // Each worker has users of its own: nobody else stops what it waits for.
    for (let turn = 0; next < until; turn++) await bench.cycle(`user-${worker * (CYCLING / AT_ONCE) + turn % (CYCLING / AT_ONCE)}`, next++);
  };
  const run = async (until: number): Promise<void> => {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, worker) => work(until, worker)));
  };
  const idle = async (): Promise<void> => {
    await Promise.all(bench.fleet.list().map(({ name }) => bench.fleet.retire(name)));
    while (bench.fleet.list().some(({ state }) => state !== 'ready')) await new Promise((resolve) => { setTimeout(resolve, 20); });
  };
  await run(400);
  await idle();
  console.log(`with ${bench.fleet.list().length} servers, after 400 cycles:      ${await gauges()}`);
  const began = performance.now();
  for (let step = 1; step <= 4; step++) {
    await run(400 + Math.round(count * step / 4));
    await idle();
    console.log(`with ${bench.fleet.list().length} servers, after ${Math.round(count * step / 4)} more cycles: ${await gauges()}`);
  }
  console.log(`${(count / (performance.now() - began) * 1000).toFixed(1)} cycles/s; ${JSON.stringify(bench.counts)}`);
  await bench.fleet.stop();
  console.log(`stopped: ${await gauges()}`);
}

const [mode = 'start', first, second] = process.argv.slice(2);
try {
  if (mode === 'start') await start(Number(first ?? 200), Number(second ?? 2));
  else if (mode === 'cycles') await cycles(Number(first ?? 10_000));
  else throw new Error(`no mode ${mode}: start or cycles`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
