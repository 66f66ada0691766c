/** The real Skyport in front of fake CLI servers, with tokens for a few users: `token-of-<user>`. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { adminCall } from '../../proxy/admin/client.js';
import type { Snapshot } from '../../proxy/observe/snapshot.js';
import { FakeServer, type FakeServerOptions } from './fake-server.js';
import type { Scope } from './scope.js';
import { SkyportUnderTest, type ConfigFile } from './skyport.js';
import { writeTokensOf } from './token-entries.js';
import { WireClient } from './wire-client.js';

export interface FakeSiteOptions {
  /** How many fake servers in this process; they are called cli-1, cli-2, … Default 1. */
  readonly servers?: number;
  readonly server?: FakeServerOptions;
  readonly users?: readonly string[];
  /** Top-level keys that replace those of the site. */
  readonly config?: ConfigFile;
  /** Added to Skyport's environment. */
  readonly environment?: NodeJS.ProcessEnv;
}

export class FakeSite {
  private constructor(
    private readonly scope: Scope,
    readonly fakes: readonly FakeServer[],
    readonly skyport: SkyportUnderTest,
  ) {}

  /** @param scope stops all of it, and every client, when it closes. @returns when all servers are up */
  static async start(scope: Scope, options: FakeSiteOptions = {}): Promise<FakeSite> {
    const { servers = 1, server = {}, users = ['alice', 'bob'], config = {}, environment } = options;
    const fakes = await Promise.all(Array.from({ length: servers }, async () => scope.own(await FakeServer.start(server))));
    const skyport = scope.own(await SkyportUnderTest.start((place) => {
      const work = path.join(place.directory, 'work');
      mkdirSync(work);
      writeTokensOf(users, place.directory);
      return {
        identity: { tokens_file: './tokens.yaml' },
        backends: fakes.map(({ address }, index) => ({ name: `cli-${index + 1}`, url: `tcp://${address}`, token: server.token })),
        fleet: { count: 0, working_directory: work },
        shutdown: { drain: '0s' },
        // The fake servers may share a busy process with the test.
        health: { timeout: '20s' },
        ...config,
        // A fake server stores nothing, so Skyport would have nothing to answer with.
        sessions: { state: 'server', ...(config['sessions'] as object | undefined) },
      };
    }, environment));
    const site = new FakeSite(scope, fakes, skyport);
    // Skyport is ready with the first of them.
    await site.until(({ backends }) => fakes.every((_, index) => backends.some(({ name, state }) => name === `cli-${index + 1}` && state === 'up')));
    return site;
  }

  /** The only fake server. */
  get fake(): FakeServer {
    return this.fakes[0]!;
  }

  /** A raw connection that is logged in. */
  async wire(user = 'alice'): Promise<WireClient> {
    const client = await this.stranger();
    await client.login(`token-of-${user}`);
    return client;
  }

  /** A raw connection that has not said anything yet. */
  async stranger(): Promise<WireClient> {
    return this.scope.own(await WireClient.tcp(this.skyport.address));
  }

  /** As `skyport status --json` prints it. */
  status(): Promise<Snapshot> {
    return adminCall(path.join(this.skyport.directory, 'data', 'skyport.sock'), 'GET', 'status');
  }

  /** Looks at the status again and again until it is as wanted; the test's own time-out ends a wait in vain. */
  async until(wanted: (status: Snapshot) => boolean): Promise<Snapshot> {
    for (;;) {
      const status = await this.status();
      if (wanted(status)) return status;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
