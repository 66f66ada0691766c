/**
 * The two things that every scenario of the transparency suite runs against: one real CLI server, which
 * is the oracle, and Skyport in front of three. `SKYPORT_TARGET=direct` leaves Skyport out.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { SessionConfig } from '@github/copilot-sdk';
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import { Model } from './model.js';
import { freePort } from './ports.js';
import { startRuntime, type Runtime } from './runtime.js';
import { Scope } from './scope.js';
import { legacyClient, sdkClient, sessionConfig, type CopilotClient, type LegacyClient } from './sdk.js';
import { SkyportUnderTest } from './skyport.js';
import { removeTemporary, temporary } from './temporary.js';
import { WireClient } from './wire-client.js';

export type User = 'alice' | 'bob';

/** What a client has to know to reach a target as some user. */
export interface Door {
  readonly address: string;
  readonly token?: string;
}

interface Front {
  door(user: User): Door;
  /** Where an SDK without tokens may come in, as alice. */
  legacyDoor(): Promise<Door>;
  directory(user: User): string;
}

export class Target {
  /** The model that all sessions of this target talk to. */
  model!: Model;
  private front!: Front;
  private readonly ofSuite = new Scope();
  private readonly ofTest = new Scope();

  constructor(readonly kind: 'direct' | 'skyport') {}

  async start(): Promise<void> {
    this.model = this.ofSuite.own(await Model.start());
    this.front = this.kind === 'direct' ? await direct(this.ofSuite) : await skyport(this.ofSuite);
  }

  /** Address and token for a test that logs in by itself. */
  door(user: User = 'alice'): Door {
    return this.front.door(user);
  }

  /** An SDK client, cut off when the test ends. */
  client(user: User = 'alice'): CopilotClient {
    const { address, token } = this.front.door(user);
    const client = sdkClient(address, token);
    this.ofTest.after(() => client.forceStop());
    return client;
  }

  /** A client of SDK 0.3, which sends no token: alice. */
  async legacyClient(): Promise<LegacyClient> {
    const client = legacyClient((await this.front.legacyDoor()).address);
    this.ofTest.after(() => client.forceStop());
    return client;
  }

  /** A raw connection that is logged in. */
  async wire(user: User = 'alice'): Promise<WireClient> {
    const { address, token } = this.front.door(user);
    const client = this.ofTest.own(await WireClient.tcp(address));
    await client.login(token);
    return client;
  }

  /** A session's configuration; without a session id the SDK makes one. */
  session(more: Partial<SessionConfig> = {}): SessionConfig {
    return sessionConfig(this.model, more);
  }

  /** A directory of its own that this user's sessions may work in. */
  directory(user: User = 'alice'): string {
    return mkdtempSync(path.join(this.front.directory(user), 'work-'));
  }

  beginTest(): void {
    this.ofTest.open();
  }

  endTest(): Promise<void> {
    return this.ofTest.close();
  }

  stop(): Promise<void> {
    return this.ofSuite.close();
  }
}

/** Runs a suite of scenarios against each target; the target is up while they run. */
export function forEachTarget(name: string, scenarios: (target: Target) => void): void {
  const kinds = process.env.SKYPORT_TARGET === 'direct' ? (['direct'] as const) : (['direct', 'skyport'] as const);
  describe.each(kinds)(`${name} (%s)`, (kind) => {
    const target = new Target(kind);
    beforeAll(() => target.start());
    beforeEach(() => target.beginTest());
    afterEach(() => target.endTest());
    afterAll(() => target.stop());
    scenarios(target);
  });
}

async function direct(scope: Scope): Promise<Front> {
  const runtime = scope.own(await startRuntime({ token: 'token-of-the-server' }));
  const work = workPlace(scope);
  let open: Promise<Runtime> | undefined;
  return {
    door: () => ({ address: runtime.address, token: runtime.token }),
    legacyDoor: () => (open ??= startRuntime().then((started) => scope.own(started))),
    directory: () => work,
  };
}

async function skyport(scope: Scope): Promise<Front> {
  const work = workPlace(scope);
  const runtimes = await Promise.all([1, 2, 3].map(async (n) => scope.own(await startRuntime({ token: `token-of-server-${n}` }))));
  const legacyPort = await freePort();
  const running = await SkyportUnderTest.start((place) => ({
    listen: [
      { tcp: place.address },
      { tcp: `127.0.0.1:${legacyPort}`, as: 'alice' },
      { http: `127.0.0.1:${place.httpPort}` },
    ],
    identity: { tokens_file: writeTokens(place.directory) },
    backends: runtimes.map(({ address, token }, index) => ({ name: `cli-${index + 1}`, url: `tcp://${address}`, token })),
    fleet: { count: 0, working_directory: work },
    routing: { policy: 'round_robin' },
    guard: { profile: 'tenant' },
  }));
  scope.own(running);
  return {
    door: (user) => ({ address: running.address, token: `token-of-${user}` }),
    legacyDoor: async () => ({ address: `127.0.0.1:${legacyPort}` }),
    directory: (user) => {
      const own = path.join(work, user);
      mkdirSync(own, { recursive: true });
      return own;
    },
  };
}

/** The tokens file of alice and bob; their tokens are `token-of-alice` and `token-of-bob`. */
export function writeTokens(directory: string): string {
  const file = path.join(directory, 'tokens.yaml');
  const entries = ['alice', 'bob'].map((user) => {
    const sha256 = createHash('sha256').update(`token-of-${user}`).digest('hex');
    return `- { user: ${user}, sha256: ${sha256}, roles: [user] }\n`;
  });
  writeFileSync(file, entries.join(''));
  return file;
}

function workPlace(scope: Scope): string {
  const directory = temporary('skyport-work-');
  scope.after(() => removeTemporary(directory));
  return directory;
}
