/**
 * The way to Redis: one connection for commands, one for messages. Every call ends within
 * `timeout`, whatever becomes of Redis: it waits for a connection, it is repeated when it was not
 * answered, and then it is a StoreUnavailable.
 *
 * Because an unanswered call may have been carried out all the same, only what may be carried out
 * twice is called here: all of it is scripts that see that they were there before.
 */
import { Cluster, Redis } from 'ioredis';
import { redisAddress, type RedisSettings } from './redis-address.js';

/** Redis is away, or refuses to serve. */
export class StoreUnavailable extends Error {
  /** @param unsure it was sent and not answered: whether it was carried out is not known */
  constructor(message: string, readonly unsure: boolean) {
    super(message);
    this.name = 'StoreUnavailable';
  }
}

/** Told once per change. */
export interface StoreEvents {
  up(): void;
  /** @param reason for a log line: without credentials and contents */
  down(reason: string): void;
}

/** @param deadline as `performance.now()` counts; left out: `timeout` from now */
export type Script = (keys: readonly string[], args: readonly (string | number | Buffer)[], deadline?: number) => Promise<unknown>;

/** Milliseconds between two tries. */
const PAUSE = 25;

export class RedisClient {
  /** For messages: without credentials. */
  readonly shown: string;
  private readonly redis: Redis | Cluster;
  private subscriber: Redis | undefined;
  private readonly listeners = new Map<string, (message: string) => void>();
  private readonly subscribed = new Set<string>();
  private state: 'new' | 'up' | 'down' | 'closed' = 'new';
  private lastError = 'no connection';
  private answeredAt = -Infinity;
  private steadySince = Infinity;

  /** Begins to connect. @throws when the settings cannot be used */
  constructor(private readonly settings: RedisSettings, private readonly events: StoreEvents = { up: () => undefined, down: () => undefined }) {
    const address = redisAddress(settings);
    this.shown = address.shown;
    this.redis = address.cluster === undefined ? new Redis(address.standalone)
      : new Cluster([...address.cluster.nodes], address.cluster.options);
    this.redis.on('error', (error: Error) => (this.lastError = wordsOf(error)));
    this.redis.on('ready', () => {
      this.goUp();
      this.subscribe();
    });
    this.redis.on('close', () => this.goDown(this.lastError));
  }

  get timeout(): number {
    return this.settings.timeout;
  }

  /**
   * Milliseconds that Redis has answered this process without a gap; 0 when it does not now. After a gap
   * nobody else could renew a lease either, so a lease counts as over only when this is longer than it.
   * Someone must call at least once per `timeout`: the tick of instances does.
   */
  get steadyFor(): number {
    const now = performance.now();
    return now - this.answeredAt > this.settings.timeout ? 0 : Math.max(0, now - this.steadySince);
  }

  /** A key that belongs to nothing in particular. */
  key(name: string): string {
    return `${this.settings.prefix}${name}`;
  }

  /** A key of a group that scripts change together: the braces keep the group in one slot of a cluster. */
  keyOf(group: string, name: string): string {
    return `${this.settings.prefix}{${group.replace(/[%{}]/g, (sign) => encodeURIComponent(sign))}}:${name}`;
  }

  /**
   * @param lua may be carried out twice; all its keys are in one group
   * @param bytes give bulk replies as buffers
   */
  script(name: string, lua: string, numberOfKeys: number, bytes = false): Script {
    this.redis.defineCommand(name, { lua, numberOfKeys });
    const call = (this.redis as unknown as Readonly<Record<string, Call>>)[bytes ? `${name}Buffer` : name]!;
    return (keys, args, deadline) => this.run(() => call.call(this.redis, ...keys, ...args), deadline);
  }

  /**
   * Carries out a command that may be carried out twice.
   * @throws StoreUnavailable
   */
  async run<T>(command: (redis: Redis | Cluster) => Promise<T>, deadline = performance.now() + this.settings.timeout): Promise<T> {
    let unsure = false;
    for (;;) {
      const left = deadline - performance.now();
      if (left <= 0 || this.state === 'closed') throw this.unavailable(unsure);
      if (this.redis.status !== 'ready') {
        await sleep(Math.min(PAUSE, left));
        continue;
      }
      try {
        const reply = await within(command(this.redis), Math.min(left, this.settings.timeout));
        this.answered();
        return reply;
      } catch (error) {
        const kind = kindOf(error);
        this.lastError = wordsOf(error);
        if (kind === 'fault') throw new Error(`${this.shown} could not carry out a command: ${this.lastError}`);
        if (kind === 'refused') throw this.unavailable(unsure);
        if (kind === 'unanswered') unsure = true;
        if (this.redis instanceof Cluster) this.redis.refreshSlotsCache();
        await sleep(Math.max(0, Math.min(PAUSE, deadline - performance.now())));
      }
    }
  }

  /** Resolves when Redis answers. @throws StoreUnavailable after `timeout`, and tries on */
  async ready(): Promise<void> {
    await this.run((redis) => redis.ping());
  }

  /**
   * What an operator should know of this Redis: reasons why it may lose what it was given.
   * @throws StoreUnavailable
   * @throws when its version cannot be used
   */
  async warnings(): Promise<string[]> {
    const info = await this.run((redis) => redis.info());
    const field = (name: string): string => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? '';
    const version = field('redis_version');
    if (Number.parseInt(version, 10) < 7) throw new Error(`${this.shown} is Redis ${version}; at least 7 is needed`);
    const evicts = field('maxmemory') !== '0' && !/^(noeviction|volatile-.*)$/.test(field('maxmemory_policy'));
    return [
      ...(field('aof_enabled') === '1' ? [] : ['append-only file is off: sessions of the last seconds or minutes are lost when Redis dies (appendonly yes)']),
      ...(evicts ? [`maxmemory-policy is ${field('maxmemory_policy')}: Redis deletes sessions when its memory is full (noeviction)`] : []),
    ];
  }

  /**
   * Hears a channel from now on, over every lost connection; what is published while there is none is
   * lost, so whoever listens must be able to do without. One listener per channel.
   */
  listen(channel: string, listener: (message: string) => void): void {
    this.listeners.set(this.key(channel), listener);
    this.subscribe();
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.subscriber?.disconnect();
    // Its answer comes after those of all calls that were sent before it.
    if (this.redis.status === 'ready') await within(this.redis.quit(), this.settings.timeout).catch(() => undefined);
    this.redis.disconnect();
  }

  private subscribe(): void {
    const wanted = [...this.listeners.keys()].filter((channel) => !this.subscribed.has(channel));
    if (wanted.length === 0 || this.redis.status !== 'ready') return;
    const subscriber = this.subscribing();
    for (const channel of wanted) {
      this.subscribed.add(channel);
      subscriber.subscribe(channel).catch(() => this.subscribed.delete(channel));
    }
  }

  private subscribing(): Redis | Cluster {
    if (this.redis instanceof Cluster) {
      // A cluster keeps a connection of its own for messages.
      if (this.subscribed.size === 0 && this.redis.listenerCount('message') === 0) this.hear(this.redis);
      return this.redis;
    }
    if (this.subscriber === undefined) {
      this.subscriber = this.redis.duplicate({ enableOfflineQueue: true, maxRetriesPerRequest: null, connectionName: 'skyport-messages' });
      this.subscriber.on('error', () => undefined);
      this.hear(this.subscriber);
    }
    return this.subscriber;
  }

  private hear(redis: Redis | Cluster): void {
    redis.on('message', (channel: string, message: string) => this.listeners.get(channel)?.(message));
  }

  private answered(): void {
    const now = performance.now();
    if (now - this.answeredAt > this.settings.timeout || this.steadySince === Infinity) this.steadySince = now;
    this.answeredAt = now;
    this.goUp();
  }

  private unavailable(unsure: boolean): StoreUnavailable {
    const error = new StoreUnavailable(`the store at ${this.shown} is not available: ${this.lastError}`, unsure);
    this.goDown(this.lastError);
    return error;
  }

  private goUp(): void {
    if (this.state === 'up' || this.state === 'closed') return;
    this.state = 'up';
    this.events.up();
  }

  private goDown(reason: string): void {
    this.steadySince = Infinity;
    if (this.state !== 'up') return;
    this.state = 'down';
    this.events.down(reason);
  }
}

type Call = (this: Redis | Cluster, ...args: (string | number | Buffer)[]) => Promise<unknown>;

/** Redis can come to serve it by itself. */
const PASSING = /^(LOADING|READONLY|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|BUSY|UNBLOCKED)\b|^Too many Cluster redirections/;
/** Redis will not serve it until somebody does something about it. */
const REFUSED = /^(OOM|MISCONF|NOREPLICAS|NOAUTH|NOPERM|WRONGPASS)\b/;

/** `passing`: not carried out, try again. `unanswered`: perhaps carried out. `fault`: a bug of ours. */
function kindOf(error: unknown): 'passing' | 'unanswered' | 'refused' | 'fault' {
  if (!(error instanceof Error)) return 'fault';
  if (PASSING.test(error.message) || error.message.startsWith('Stream isn\'t writeable')) return 'passing';
  if (REFUSED.test(error.message)) return 'refused';
  return error.name === 'ReplyError' || error instanceof TypeError ? 'fault' : 'unanswered';
}

/** The first line of a message. The error itself must go no further: it holds the command with its arguments. */
function wordsOf(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error);
  return (words === '' && error instanceof AggregateError ? wordsOf(error.errors[0]) : words).split('\n')[0]!;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @throws when it takes longer than that; the promise is then nobody's any more */
function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${Math.round(ms)} ms`)), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
