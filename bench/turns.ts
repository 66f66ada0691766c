/**
 * What keeping the state of sessions costs a whole Skyport, and whether it keeps up:
 *
 *   npm run bench:turns -- [seconds of a round [late|first [turns a second [processes of each kind]]]]
 *
 *   this process ──10 connections──▶ Skyport, a process ──▶ a stand-in for a CLI server, a process
 *   paces turns, counts their ends                          (turns-server.ts: what a turn is)
 *
 * Skyports with `sessions.state: skyport` and with `server` are measured by turns, since other work on the machine changes
 * from minute to minute, and several of each kind, since what its compiler and garbage collector happen to do makes one
 * process differ from the next. CPU time is what the kernel's scheduler counts for the Skyport process, all its threads, over
 * a round; of many short rounds the median. Instructions (instructions.ts) are the mean of the rounds: a garbage collection falls into few of them. `late`: from a send to the end of its turn, beyond what the stand-in takes by itself.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { frame, FrameReader } from '../test/support/framing.js';
import { leadsGroup } from '../test/support/process-group.js';
import { Instructions } from './instructions.js';
import type { Shape } from './turns-server.js';

const SECONDS = Number(process.argv[2] ?? 2);
const ROUNDS = 10;
/** Turns that each has had before the first round: code that runs once a turn is compiled by then. */
const WARM_UP = 8_000;
const WARM_RATE = 400;
/** For each turn a second; a session has its next turn when all others have had theirs. */
const SESSIONS = 2;
/** Enough for the warm-up. */
const FEWEST_SESSIONS = 200;
/** Milliseconds at the beginning of a round in which turns begin and none can have ended. */
const RAMP = 500;
const CONNECTIONS = 10;
const STATES = ['server', 'skyport'] as const;
type State = (typeof STATES)[number];

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const prompt = 'the quick brown fox jumps over the lazy dog. '.repeat(4);

/** Skyport with its server and its clients. */
class Site {
  private readonly directory = mkdtempSync(path.join(tmpdir(), 'skyport-bench-'));
  private readonly began = new Map<string, number>();
  private readonly clients: BenchClient[] = [];
  private server!: ChildProcess;
  private skyport!: ChildProcess;
  private next = 0;
  private readonly sessions: { readonly id: string; readonly client: BenchClient }[] = [];
  /** Milliseconds that each finished turn took. */
  times: number[] = [];

  static async start(state: State, shape: Shape, sessions: number): Promise<Site> {
    const site = new Site();
    site.server = child(fork(here('./turns-server.js'), [shape], { detached: true, execArgv: [] }));
    const { port } = await new Promise<{ port: number }>((resolve) => site.server.once('message', resolve));
    // In a directory of its own: the one of the config is watched.
    const config = path.join(site.directory, 'config', 'skyport.yaml');
    mkdirSync(path.dirname(config));
    writeFileSync(config, [
      'listen: [{ tcp: "127.0.0.1:0" }]', 'identity: { anonymous: bench }', 'fleet: { count: 0 }', 'store: { path: ../data }',
      `backends: [{ name: cli, url: "tcp://127.0.0.1:${port}" }]`, `sessions: { state: ${state} }`, `limits: { sessions_per_user: ${sessions} }`, '',
    ].join('\n'));
    const log = openSync(path.join(site.directory, 'log'), 'a');
    const profile = process.env.PROFILE === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${path.join(process.env.PROFILE, `${state}-${shape}`)}`];
    const args = [...profile, here('../proxy/main.js'), 'start', '--config', config];
    site.skyport = child(spawn(process.execPath, args, { detached: true, stdio: ['ignore', log, log] }));
    closeSync(log);
    const address = await site.listening();
    for (let i = 0; i < CONNECTIONS; i++) site.clients.push(await BenchClient.connect(address, (id) => site.ended(id)));
    for (let i = 0; i < sessions; i++) {
      const client = site.clients[i % CONNECTIONS]!;
      const id = randomUUID();
      await client.call('session.create', { sessionId: id });
      site.sessions.push({ id, client });
    }
    return site;
  }

  /** Milliseconds of CPU time since its start. */
  get cpu(): number {
    const tasks = `/proc/${this.skyport.pid}/task`;
    return readdirSync(tasks).reduce((sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]), 0) / 1e6;
  }

  get pid(): number {
    return this.skyport.pid!;
  }

  get open(): number {
    return this.began.size;
  }

  /** Begins the next session's turn. @returns false when all of them are in one: it does not keep up */
  turn(): boolean {
    const { id, client } = this.sessions[this.next++ % this.sessions.length]!;
    if (this.began.has(id)) return false;
    this.began.set(id, performance.now());
    client.send('session.send', { sessionId: id, prompt });
    return true;
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.close();
    const gone = new Promise((resolve) => this.skyport.once('exit', resolve));
    this.skyport.kill('SIGTERM');
    await gone;
    this.server.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  private ended(id: string): void {
    this.times.push(performance.now() - this.began.get(id)!);
    this.began.delete(id);
  }

  private async listening(): Promise<string> {
    for (;;) {
      const log = readFileSync(path.join(this.directory, 'log'), 'utf8');
      const address = /"event":"listening".*?"address":"([^"]+)"/.exec(log)?.[1];
      if (address !== undefined && log.includes('"event":"ready"')) return address;
      if (this.skyport.exitCode !== null) throw new Error(log);
      await sleep(50);
    }
  }
}

class BenchClient {
  private readonly reader = new FrameReader();
  private readonly calls = new Map<number, (answer: { error?: unknown }) => void>();
  private lastId = 0;

  private constructor(private readonly socket: net.Socket, ended: (sessionId: string) => void) {
    socket.on('data', (chunk) => this.reader.push(chunk).forEach((text) => {
      if (text.includes('"type":"session.idle"')) ended(/"sessionId":"([^"]+)"/.exec(text)![1]!);
      else if (!text.includes('"method":"session.')) this.answered(JSON.parse(text) as { id: number; error?: unknown });
    }));
  }

  static async connect(address: string, ended: (sessionId: string) => void): Promise<BenchClient> {
    const [host, port] = address.split(':');
    const socket = net.connect({ host, port: Number(port), noDelay: true });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const client = new BenchClient(socket, ended);
    await client.call('connect', {});
    return client;
  }

  send(method: string, params: object): number {
    const id = ++this.lastId;
    this.socket.write(frame(JSON.stringify({ jsonrpc: '2.0', id, method, params })));
    return id;
  }

  call(method: string, params: object): Promise<void> {
    const id = this.send(method, params);
    return new Promise((resolve, reject) => this.calls.set(id, ({ error }) => (error ? reject(new Error(JSON.stringify(error))) : resolve())));
  }

  close(): void {
    this.socket.destroy();
  }

  private answered(answer: { id: number; error?: unknown }): void {
    if (answer.error && !this.calls.has(answer.id)) throw new Error(JSON.stringify(answer.error));
    this.calls.get(answer.id)?.(answer);
    this.calls.delete(answer.id);
  }
}

interface Round {
  /** Milliseconds of CPU time a turn. */
  readonly cpu: number;
  /** Millions a turn. */
  readonly instructions: number;
  /** Turns finished a second, once the first ones could be. */
  readonly rate: number;
  readonly times: readonly number[];
  /** Turns that could not begin when they were due. */
  readonly skipped: number;
}

async function round(site: Site, rate: number): Promise<Round> {
  site.times = [];
  const counting = await Instructions.of(site.pid);
  const [cpu, began] = [site.cpu, performance.now()];
  let begun = 0;
  let skipped = 0;
  let ramped = 0;
  setTimeout(() => (ramped = site.times.length), RAMP);
  for (let due = 0; due < rate * SECONDS; due = Math.min(rate * SECONDS, ((performance.now() - began) / 1000) * rate)) {
    for (; begun < due; begun++) if (!site.turn()) skipped++;
    await sleep(5);
  }
  const seconds = (performance.now() - began - RAMP) / 1000;
  const finished = site.times.length - ramped;
  while (site.open > 0) await sleep(5);
  const [turns, used] = [site.times.length, site.cpu - cpu];
  return { cpu: used / turns, instructions: (await counting.end()) / 1e6 / turns, rate: finished / seconds, times: site.times, skipped };
}

function child(process: ChildProcess): ChildProcess {
  leadsGroup(process);
  return process;
}

function quantile(values: readonly number[], q: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * q)]!;
}

async function compare(shape: Shape, rate: number, processes: number): Promise<void> {
  const sites: { readonly state: State; readonly site: Site }[] = [];
  for (let i = 0; i < processes; i++) {
    for (const state of STATES) sites.push({ state, site: await Site.start(state, shape, Math.max(rate * SESSIONS, FEWEST_SESSIONS)) });
  }
  const rounds: Record<State, Round[]> = { server: [], skyport: [] };
  for (const { site } of sites) {
    for (let turns = 0; turns < WARM_UP; turns += WARM_RATE * SECONDS) await round(site, WARM_RATE);
    await round(site, rate);
  }
  for (let i = 0; i < ROUNDS; i++) {
    for (const { state, site } of i % 2 === 0 ? sites : sites.toReversed()) rounds[state].push(await round(site, rate));
  }
  for (const { site } of sites) await site.stop();
  const instructions = (state: State): number => rounds[state].reduce((sum, one) => sum + one.instructions, 0) / rounds[state].length;
  const cpu = (state: State): number => quantile(rounds[state].map((one) => one.cpu), 0.5);
  for (const state of STATES) {
    const times = rounds[state].flatMap((one) => one.times);
    const skipped = rounds[state].reduce((sum, one) => sum + one.skipped, 0);
    console.log(
      `${shape.padEnd(6)} ${String(rate).padStart(4)}/s  state ${state.padEnd(8)} ${cpu(state).toFixed(3)} ms CPU, ${instructions(state).toFixed(2)} M instructions a turn   `
      + `${quantile(rounds[state].map((one) => one.rate), 0.5).toFixed(1).padStart(6)} turns/s done, ${skipped} not begun   `
      + `a turn takes ${quantile(times, 0.5).toFixed(0)} ms, 99 % ${quantile(times, 0.99).toFixed(0)} ms`,
    );
  }
  const part = (of: (state: State) => number): string => `${((1 - of('server') / of('skyport')) * 100).toFixed(1)} %`;
  const added = cpu('skyport') - cpu('server');
  console.log(`${shape.padEnd(6)} ${String(rate).padStart(4)}/s  the state: ${added.toFixed(3)} ms a turn, ${part(cpu)} of Skyport's CPU, ${part(instructions)} of its instructions`);
}

const SHAPES: readonly Shape[] = ['late', 'first'];
const [only, at, processes = '2'] = process.argv.slice(3);
for (const shape of SHAPES.filter((one) => only === undefined || one === only)) {
  for (const rate of at === undefined ? [100, 500] : [Number(at)]) await compare(shape, rate, Number(processes));
}
