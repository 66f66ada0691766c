/**
 * The first answer of a user who has never been there, against that of a user whose server has been at work before.
 *
 *   npx tsc -p tsconfig.bench.json && node build/bench/first-answer.js [rounds]
 *
 * Two Skyports with `fleet.isolation: per_user` and one spare each, one with `fleet.warm_up` and one without, the real
 * runtime and a stand-in model. In each round, one after the other through the SDK: a user with a server that runs,
 * a new user on a warm spare, a new user on a spare that is not; each connects, creates a session and has two turns.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { approveAll, CopilotClient, RuntimeConnection } from '@github/copilot-sdk';
import type { ChildProcess } from 'node:child_process';
import { Worker } from './load/orders.js';
import { halt, launch, logOf } from './rivals/rival.js';

const PROGRAM = fileURLToPath(new URL('../proxy/main.js', import.meta.url));
const MODEL = fileURLToPath(new URL('./load/model-process.js', import.meta.url));

/** Rounds that are not counted: the SDK's and Skyport's own code is not compiled yet. */
const UNCOUNTED = 3;
/** Milliseconds in which a spare that is not warmed comes to rest. */
const REST = 1_000;

const STEPS = ['connect', 'create', 'first turn', 'second turn'] as const;
type Times = Record<typeof STEPS[number], number>;

class Bed {
  private constructor(readonly child: ChildProcess, private readonly directory: string, private readonly warm: boolean, private readonly model: string) {}

  static async start(directory: string, warm: boolean, users: number, model: string): Promise<Bed> {
    mkdirSync(path.join(directory, 'config'), { recursive: true });
    const tokens = Array.from({ length: users }, (_, n) => `- { user: user-${n}, sha256: ${createHash('sha256').update(`token-${n}`).digest('hex')} }\n`);
    writeFileSync(path.join(directory, 'config', 'tokens.yaml'), tokens.join(''), { mode: 0o600 });
    const config = path.join(directory, 'config', 'skyport.yaml');
    writeFileSync(config, [
      'listen: [{ tcp: "127.0.0.1:0" }]', 'identity: { tokens_file: ./tokens.yaml }', 'store: { path: ../data }',
      `fleet: { isolation: per_user, spares: 1, warm_up: ${warm}, env: { COPILOT_OFFLINE: "true" } }`, '',
    ].join('\n'));
    const bed = new Bed(launch([process.execPath, PROGRAM, 'start', '--config', config], directory), directory, warm, model);
    await bed.logged(/"event":"ready"/g, 1);
    return bed;
  }

  /** The spare for the next new user, who is the `count`th. */
  async spare(count: number): Promise<void> {
    await this.logged(this.warm ? /"event":"backend_warm_up"[^\n]*"step":"warm"/g : /"event":"backend_state"[^\n]*"to":"up"/g, count);
    await sleep(REST);
  }

  async visit(user: number): Promise<Times> {
    const address = /"event":"listening"[^\n]*?"address":"(127[^"]+)"/.exec(logOf(this.directory))![1]!;
    const client = new CopilotClient({ connection: RuntimeConnection.forUri(address, { connectionToken: `token-${user}` }), logLevel: 'none' });
    const times: number[] = [];
    const timed = async <T>(work: () => Promise<T>): Promise<T> => {
      const from = performance.now();
      const result = await work();
      times.push(performance.now() - from);
      return result;
    };
    await timed(() => client.start());
    const provider = { type: 'openai' as const, baseUrl: this.model, apiKey: 'a-key' };
    const session = await timed(() => client.createSession({ model: 'gpt-4.1', streaming: true, onPermissionRequest: approveAll, provider }));
    for (const prompt of ['Remember: one.', 'Remember: two.']) {
      const answer = await timed(() => session.sendAndWait({ prompt }));
      if (!answer?.data.content.startsWith('Noted')) throw new Error(`answered with ${answer?.data.content}`);
    }
    await client.stop();
    return Object.fromEntries(STEPS.map((step, n) => [step, times[n]!])) as Times;
  }

  private async logged(line: RegExp, count: number): Promise<void> {
    for (;;) {
      const log = logOf(this.directory);
      if ((log.match(line)?.length ?? 0) >= count) return;
      if (this.child.exitCode !== null) throw new Error(log);
      await sleep(20);
    }
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

const rounds = Number(process.argv[2] ?? 15);
const directory = mkdtempSync(path.join(tmpdir(), 'skyport-bench-first-'));
const model = Worker.start(MODEL);
const beds: Bed[] = [];
try {
  const url = await model.order<string>('start');
  for (const warm of [true, false]) beds.push(await Bed.start(path.join(directory, String(warm)), warm, rounds + UNCOUNTED + 1, url));
  const [warm, cold] = beds as [Bed, Bed];
  const seen: Record<string, Times[]> = { 'existing user': [], 'new user, warm spare': [], 'new user, spare without warm-up': [] };
  for (const bed of beds) await bed.spare(1).then(() => bed.visit(0));
  const loads: number[] = [];
  for (let round = 1; round <= rounds + UNCOUNTED; round++) {
    await Promise.all(beds.map((bed) => bed.spare(round + 1)));
    const visits = [await warm.visit(0), await warm.visit(round), await cold.visit(round)];
    if (round <= UNCOUNTED) continue;
    loads.push(loadavg()[0]!);
    Object.values(seen).forEach((times, n) => times.push(visits[n]!));
  }
  const sum = (times: Times): number => times.connect + times.create + times['first turn'];
  const base = median(seen['existing user']!.map(sum));
  console.log(`medians of ${rounds} rounds in ms, load of the machine ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`);
  console.log(`| | ${STEPS.join(' | ')} | connect to first answer | against the existing user |\n|${'---|'.repeat(STEPS.length + 3)}`);
  for (const [name, times] of Object.entries(seen)) {
    const total = median(times.map(sum));
    console.log(`| ${name} | ${STEPS.map((step) => median(times.map((one) => one[step])).toFixed(0)).join(' | ')} | ${total.toFixed(0)} | ${(total / base).toFixed(2)}× |`);
  }
} finally {
  for (const { child } of beds) await halt(child, 'SIGTERM');
  await model.stop();
  rmSync(directory, { recursive: true, force: true });
}
