/**
 * One target with all that it is measured with, each in a process of its own:
 *
 *   clients ─────┐
 *                ├──▶ target ──▶ backend (the stand-in, or a real runtime with a stand-in model)
 *   probe ───────┘
 */
import { fileURLToPath } from 'node:url';
import { RedisServer } from '../test/support/redis.js';
import { startRuntime, type Runtime } from '../test/support/runtime.js';
import { directoryOfTheRun, remove, removedAtTheEnd } from './ending.js';
import { runName, type OpenOrder } from './load/crowd.js';
import { Worker } from './load/orders.js';
import type { StreamOrder, StreamReport } from './load/streams.js';
import { direct } from './rivals/direct.js';
import type { Address, Rival, Running } from './rivals/rival.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const CROWD = here('./load/crowd-process.js');

export interface BedOptions {
  readonly backend: 'stand-in' | 'runtime';
  /** The stand-in takes no more connections than this. */
  readonly maxConnections?: number;
  /** Users that clients are. */
  readonly users: number;
  /** Targets that share a Redis, each with a backend and clients of its own. */
  readonly onRedis?: number;
}

export class Bed {
  readonly run = runName();
  /** Of `stream`, the last time. */
  sent: readonly number[] = [];
  private readonly workers: { [name: string]: Worker } = {};
  private running!: Running;
  private runtime: Runtime | undefined;
  private directory!: string;
  private tokens: readonly string[] = [];
  /** Further targets on the same Redis. */
  readonly twins: Bed[] = [];
  private redis: RedisServer | undefined;
  modelUrl = '';
  /** Clients that could be had, and why not all. */
  served = 0;
  note: string | undefined;
  /** The target is somebody's installation, with servers of its own. */
  foreign = false;

  private constructor(readonly rival: Rival) {}

  static async start(rival: Rival, options: BedOptions): Promise<Bed> {
    const bed = new Bed(rival);
    const { onRedis = 0 } = options;
    try {
      if (onRedis > 0) bed.redis = await RedisServer.start();
      if (bed.redis) removedAtTheEnd(bed.redis.directory);
      await bed.build(options, bed.redis?.url);
      for (let i = 1; i < onRedis; i++) {
        const twin = new Bed(rival);
        bed.twins.push(twin);
        await twin.build(options, bed.redis?.url);
      }
      return bed;
    } catch (error) {
      await bed.stop();
      throw error;
    }
  }

  /** Measures an address instead of a rival. */
  static at(address: Address, token: string | undefined): Bed {
    const bed = new Bed(direct);
    bed.foreign = true;
    bed.tokens = token === undefined ? [] : [token];
    bed.running = { address, pid: undefined, stop: () => Promise.resolve() };
    bed.workers.clients = Worker.start(CROWD);
    return bed;
  }

  get address(): Address {
    return this.running.address;
  }

  /** Of the target's first process. */
  get pid(): number | undefined {
    return this.running.pid;
  }

  /** Processes that make the load, by what they are. */
  get loads(): readonly (readonly [name: string, pid: number])[] {
    const workers = Object.entries(this.workers).map(([name, worker]) => [name, worker.pid] as const);
    return this.runtime ? [...workers, ['runtime', this.runtime.pid]] : workers;
  }

  get clients(): Worker {
    return this.workers.clients!;
  }

  /** Another process with clients. */
  get probe(): Worker {
    return (this.workers.probe ??= Worker.start(CROWD));
  }

  /** Connects clients that have sessions. @returns how many could be had */
  open(order: Pick<OpenOrder, 'clients' | 'sessions' | 'first' | 'tolerant'>, worker = this.clients): Promise<{ clients: number; refused?: string }> {
    return worker.order('open', { ...order, ...this.address, run: this.run, tokens: this.tokens } satisfies OpenOrder);
  }

  async stream(order: StreamOrder): Promise<StreamReport> {
    const report = await this.workers.backend!.order<StreamReport>('stream', order);
    this.sent = report.sent;
    return report;
  }

  /** Events that the target is not given more of in a round. */
  most(seconds: number): number | undefined {
    return this.rival.most === undefined ? undefined : this.rival.most * seconds;
  }

  /** All sessions begin a turn; `endTurns` ends them. */
  async beginTurns(): Promise<void> {
    await this.clients.order('beginTurns');
  }

  async endTurns(first: number, count: number): Promise<void> {
    const ended = this.clients.order('endTurns');
    await this.workers.backend!.order('idle', { first, count });
    await ended;
  }

  async talk(): Promise<void> {
    await this.clients.order('talk', { ...this.address, model: this.modelUrl, token: this.tokens[0] });
  }

  async stop(): Promise<void> {
    await Promise.all(this.twins.map((twin) => twin.stop()));
    await Promise.all(Object.values(this.workers).map((worker) => worker.stop()));
    await (this.running as Running | undefined)?.stop();
    await this.redis?.stop();
    await this.runtime?.kill9();
    if (this.runtime) remove(this.runtime.home);
    if (this.directory) remove(this.directory);
  }

  private async build({ backend, maxConnections, users }: BedOptions, redis: string | undefined): Promise<void> {
    this.directory = directoryOfTheRun();
    this.workers.clients = Worker.start(CROWD);
    let port: number;
    if (backend === 'runtime') {
      this.workers.model = Worker.start(here('./load/model-process.js'));
      this.modelUrl = await this.workers.model.order('start');
      this.runtime = await startRuntime();
      removedAtTheEnd(this.runtime.home);
      port = this.runtime.port;
    } else {
      this.workers.backend = Worker.start(here('./load/backend-process.js'));
      port = await this.workers.backend.order('listen', { maxConnections });
    }
    // A runtime without a token of its own refuses those that others show.
    const tokens = Array.from({ length: users }, (_, i) => `bench-token-${i}`);
    if (backend === 'stand-in' || this.rival.name === 'skyport') this.tokens = tokens;
    this.running = await this.rival.start({ backend: { host: '127.0.0.1', port }, directory: this.directory, tokens: this.tokens, ...(redis !== undefined && { redis }) });
  }
}
