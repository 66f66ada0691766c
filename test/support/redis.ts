/** A real redis-server of a test's own, on a free port and in a directory of its own; nothing of it stays. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './ports.js';
import { leadsGroup } from './process-group.js';
import { removeTemporary, temporary } from './temporary.js';

export interface RedisOptions {
  /** Keeps what was written over `kill` and `start`: every write is on disk before it is answered. */
  readonly appendonly?: boolean;
  /** More lines of redis.conf. */
  readonly conf?: readonly string[];
  /** What `conf` has for a password. */
  readonly password?: string;
  readonly sentinel?: boolean;
}

export class RedisServer {
  private child: ChildProcess | undefined;

  private constructor(readonly port: number, readonly directory: string, private readonly options: RedisOptions) {}

  /** @throws when redis-server is missing or does not answer */
  static async start(options: RedisOptions = {}): Promise<RedisServer> {
    if (spawnSync('redis-server', ['--version']).error !== undefined) {
      throw new Error('these tests need the program redis-server, version 7 (on Debian: apt-get install redis-server)');
    }
    const directory = temporary('skyport-redis-');
    const server = new RedisServer(await freePort(), directory, options);
    writeFileSync(path.join(directory, 'redis.conf'), [
      `port ${server.port}`, 'bind 127.0.0.1', `dir ${directory}`,
      ...(options.sentinel === true ? [] : ['save ""', ...(options.appendonly === true ? ['appendonly yes', 'appendfsync always'] : [])]),
      ...options.conf ?? [], '',
    ].join('\n'));
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get alive(): boolean {
    return this.child !== undefined;
  }

  /** Starts it (again), on the same port and with what it has on disk. */
  async start(): Promise<void> {
    const child = spawn('redis-server', [path.join(this.directory, 'redis.conf'), ...(this.options.sentinel === true ? ['--sentinel'] : [])], {
      detached: true, stdio: 'ignore',
    });
    leadsGroup(child);
    this.child = child;
    const gone = new Promise<never>((_, reject) => child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`))));
    gone.catch(() => undefined);
    const client = this.client();
    try {
      await Promise.race([client.ping(), gone]);
    } finally {
      client.disconnect();
    }
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.child;
    if (child === undefined) return;
    this.child = undefined;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** It keeps its connections and answers nothing until `resume`. */
  pause(): void {
    this.child?.kill('SIGSTOP');
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  /** A plain client; whoever asks for it disconnects it. */
  client(): Redis {
    const client = new Redis({
      port: this.port, host: '127.0.0.1', ...(this.options.password === undefined ? {} : { password: this.options.password }),
      maxRetriesPerRequest: 200, retryStrategy: () => 25,
    });
    client.on('error', () => undefined);
    return client;
  }

  /** One command on a connection of its own. */
  async command(name: string, ...args: (string | number)[]): Promise<unknown> {
    const client = this.client();
    try {
      return await client.call(name, ...args);
    } finally {
      client.disconnect();
    }
  }

  async stop(): Promise<void> {
    await this.kill();
    await removeTemporary(this.directory);
  }
}

/** Waits for something that has to come true; the test's own time limit ends it. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!await holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}
