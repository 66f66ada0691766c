/**
 * A site as an operator would set it up: real CLI servers, each with a token of its own, a stand-in
 * model, and the real Skyport in front of them, with alice's and bob's tokens.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { SessionConfig } from '@github/copilot-sdk';
import { adminCall } from '../../proxy/admin/client.js';
import type { SessionRow } from '../../proxy/admin/actions.js';
import type { BackendSnapshot, Snapshot } from '../../proxy/observe/snapshot.js';
import { Model } from './model.js';
import { freePorts } from './ports.js';
import { startRuntime, type Runtime } from './runtime.js';
import type { Scope } from './scope.js';
import { sdkClient, sessionConfig, type CopilotClient } from './sdk.js';
import { SkyportUnderTest, type ConfigFile } from './skyport.js';
import { WireClient } from './wire-client.js';

export interface SiteOptions {
  /** How many CLI servers stand behind; they are called cli-1, cli-2, … */
  readonly servers?: number;
  /** COPILOT_HOME of each of them; left out, each has one of its own that is removed at the end. */
  readonly homes?: readonly string[];
  /** How many more run that the configuration does not name. */
  readonly spare?: number;
  /** How many CLI servers Skyport runs itself; they are called managed-1, managed-2, … */
  readonly managed?: number;
  readonly tokens?: readonly TokenEntry[];
  /** Of another site; left out, it gets one of its own. */
  readonly model?: Model;
  /** Top-level keys that replace those of the site; a function gets the ports and the directory. */
  readonly config?: ConfigFile | ((place: SkyportUnderTest) => ConfigFile);
}

/** An entry of the tokens file; the token itself is `token-of-<user>`. */
export interface TokenEntry {
  readonly user: string;
  readonly roles?: readonly string[];
  readonly session_pattern?: string;
}

/** Probes often enough that a test sees a server go and come; one that is only busy is not taken for dead. */
const QUICK_HEALTH = { interval: '200ms', timeout: '20s', rise: 2, fall: 2, slow_start: '0s' };

/** The same for tests of servers that hang: they are found out within seconds. */
export const IMPATIENT_HEALTH = { ...QUICK_HEALTH, timeout: '2s' };

const USERS: readonly TokenEntry[] = [{ user: 'alice' }, { user: 'bob' }];

export class Site {
  private constructor(
    private readonly scope: Scope,
    readonly model: Model,
    /** Those that the configuration names, then the spare ones. */
    readonly servers: Runtime[],
    readonly skyport: SkyportUnderTest,
  ) {}

  /** @param scope stops all of it, and every client, when it closes. @returns when all servers are up */
  static async start(scope: Scope, { servers = 0, homes, spare = 0, managed = 0, tokens = USERS, config = {}, model: given }: SiteOptions): Promise<Site> {
    const model = given ?? scope.own(await Model.start());
    // Ports that stay theirs while they are down.
    const ports = await freePorts(servers + spare);
    const runtimes = await Promise.all(ports.map(async (port, index) => scope.own(await startRuntime({ port, home: homes?.[index], token: `token-of-server-${index + 1}` }))));
    const skyport = scope.own(await SkyportUnderTest.start((place) => {
      const work = path.join(place.directory, 'work');
      mkdirSync(work);
      writeTokens(place.directory, tokens);
      return {
        identity: { tokens_file: './tokens.yaml' },
        backends: runtimes.slice(0, servers).map((runtime, index) => backendOf(runtime, index + 1)),
        fleet: { count: managed, working_directory: work, env: { COPILOT_OFFLINE: 'true' }, restart_backoff: { min: '20ms', max: '200ms' } },
        routing: { policy: 'round_robin' },
        health: QUICK_HEALTH,
        ...(typeof config === 'function' ? config(place) : config),
      };
    }));
    const site = new Site(scope, model, runtimes, skyport);
    // Skyport is ready with the first of them, and whoever counts on two would find one.
    for (let n = 1; n <= servers; n++) await site.untilState(`cli-${n}`, 'up');
    for (let n = 1; n <= managed; n++) await site.untilState(`managed-${n}`, 'up');
    return site;
  }

  /** An SDK client, cut off at the end. */
  client(user = 'alice'): CopilotClient {
    const client = sdkClient(this.skyport.address, `token-of-${user}`);
    this.scope.after(() => client.forceStop());
    return client;
  }

  /** A raw connection that is logged in. */
  async wire(user = 'alice'): Promise<WireClient> {
    const client = this.scope.own(await WireClient.tcp(this.skyport.address));
    await client.login(`token-of-${user}`);
    return client;
  }

  /** A session's configuration; without a session id the SDK makes one. */
  session(more: Partial<SessionConfig> = {}): SessionConfig {
    return sessionConfig(this.model, more);
  }

  /** What a raw client sends to create or resume a session. */
  params(more: object = {}): object {
    const { model, provider } = sessionConfig(this.model);
    return { model, provider, ...more };
  }

  /** As `skyport status --json` prints it. */
  status(): Promise<Snapshot> {
    return adminCall(this.socket, 'GET', 'status');
  }

  async backend(name: string): Promise<BackendSnapshot | undefined> {
    return (await this.status()).backends.find((backend) => backend.name === name);
  }

  /** As `skyport sessions --json` prints it. */
  sessions(): Promise<SessionRow[]> {
    return adminCall(this.socket, 'GET', 'sessions');
  }

  /** Looks at the status again and again until it is as wanted; the test's own time-out ends a wait in vain. */
  async until(wanted: (status: Snapshot) => boolean): Promise<Snapshot> {
    for (;;) {
      const status = await this.status();
      if (wanted(status)) return status;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits until a backend is in this state. */
  untilState(name: string, state: string): Promise<Snapshot> {
    return this.until(({ backends }) => backends.some((backend) => backend.name === name && backend.state === state));
  }

  /** Starts a CLI server that was killed again: same port, same home, same token. */
  async restartServer(index: number): Promise<void> {
    const { home, port, token } = this.servers[index]!;
    this.servers[index] = this.scope.own(await startRuntime({ home, port, token }));
  }

  /** The tokens file with other entries, as `skyport token` and an editor would leave it. */
  setTokens(tokens: readonly TokenEntry[]): void {
    writeTokens(this.skyport.directory, tokens);
  }

  /** A directory of its own that this user's sessions may work in. */
  directory(user = 'alice'): string {
    const own = path.join(this.skyport.directory, 'work', user);
    mkdirSync(own, { recursive: true });
    return mkdtempSync(path.join(own, 'place-'));
  }

  private get socket(): string {
    return path.join(this.skyport.directory, 'data', 'skyport.sock');
  }
}

/** A CLI server's entry under `backends`. */
export function backendOf({ address, token }: Runtime, n: number): ConfigFile {
  return { name: `cli-${n}`, url: `tcp://${address}`, token };
}

/** How many sessions each backend has been given. */
export function spread(rows: readonly SessionRow[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { backend } of rows) counts[backend] = (counts[backend] ?? 0) + 1;
  return counts;
}

function writeTokens(directory: string, tokens: readonly TokenEntry[]): void {
  const entries = tokens.map(({ user, roles = ['user'], session_pattern }) => ({
    user, sha256: createHash('sha256').update(`token-of-${user}`).digest('hex'), roles, session_pattern,
  }));
  // JSON is YAML too.
  writeFileSync(path.join(directory, 'tokens.yaml'), JSON.stringify(entries), { mode: 0o600 });
}
