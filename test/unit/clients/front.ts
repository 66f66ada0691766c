/** The room of the clients as skyport.ts furnishes it, on real sockets, in front of fake CLI servers. */
import { createHash } from 'node:crypto';
import { Pool, type StaticBackend } from '../../../proxy/backends/pool.js';
import { Admission } from '../../../proxy/clients/admission.js';
import type { LimitRules } from '../../../proxy/clients/allowances.js';
import { listenTcp, type Bound } from '../../../proxy/clients/listeners.js';
import { Roster } from '../../../proxy/clients/roster.js';
import type { Limits, Services } from '../../../proxy/clients/services.js';
import { Writers, type WriterRules } from '../../../proxy/clients/writers.js';
import { Guard } from '../../../proxy/guard/guard.js';
import { Authenticator, type Logins } from '../../../proxy/identity/authenticator.js';
import { LoginThrottle, type FailureVerdict } from '../../../proxy/identity/throttle.js';
import { tokenIdOf, type TokenTable } from '../../../proxy/identity/tokens-file.js';
import { Directory } from '../../../proxy/sessions/directory.js';
import { Places } from '../../../proxy/sessions/places.js';
import { Sharing } from '../../../proxy/sessions/shares.js';
import { TurnRates } from '../../../proxy/store/turn-rates.js';
import { FakeServer } from '../../support/fake-server.js';
import type { Scope } from '../../support/scope.js';
import { WireClient } from '../../support/wire-client.js';
import { SETTINGS } from '../backends/service.js';
import { FakeRegistry } from '../sessions/cast.js';
import { until } from '../wire/sockets.js';

export const LIMITS: Limits = {
  max_frame: 1 << 24, clients: 100, sessions_per_user: 100, requests_per_client: 1_000, client_buffer: 1 << 24, handshake_timeout: 60_000,
};

/** Counts failed logins as ever, and keeps nobody waiting. */
class Impatient extends LoginThrottle {
  override failure(...failure: Parameters<LoginThrottle['failure']>): FailureVerdict {
    return { ...super.failure(...failure), delayMs: 0 };
  }
}

/** Users whose token is `token-of-<user>`. */
export function tokensOf(...users: string[]): TokenTable {
  const entries = users.map((user) => {
    const digest = createHash('sha256').update(`token-of-${user}`).digest();
    return { digest, principal: { user, roles: new Set(['user']), source: 'token' as const, key: user, tokenId: tokenIdOf(digest) } };
  });
  return { entries, patterns: [] };
}

export interface FrontOptions {
  readonly logins?: Logins;
  readonly links?: { readonly base: number; readonly max: number };
  /** The listener's `as`. */
  readonly as?: string;
  /** Do not wait for the server, and let the test start it. */
  readonly later?: boolean;
  readonly writers?: WriterRules;
  /** `limits.turns` and `limits.roles`. */
  readonly turns?: LimitRules;
  /** Of the wait for a turn, milliseconds. */
  readonly now?: () => number;
}

export class Front {
  readonly registry = new FakeRegistry();
  readonly services: Services;
  fake!: FakeServer;
  private bound!: Bound;

  private constructor(private readonly scope: Scope, private readonly options: FrontOptions) {
    const directory = new Directory(this.registry, {
      turnStarted: () => undefined, turnEnded: (session) => this.services.admission.turnEnded(session), changed: () => undefined, unloaded: () => undefined,
    }, () => undefined);
    const roster = new Roster();
    const pool = new Pool('round_robin', directory, {
      onBroadcast: (backend, link, frame, { method, sessionId }) => {
        const session = directory.remembered(sessionId ?? '');
        if (session && method === 'session.lifecycle') roster.lifecycle(session, backend, link, frame);
      },
      onUp: () => undefined, onDown: () => undefined, onRemoved: () => undefined,
    });
    this.services = {
      directory, pool, roster,
      admission: new Admission(options.turns ?? {}, directory, (...owner) => this.services.authenticator.rolesOf(...owner), {
        rates: TurnRates.inMemory(), now: options.now,
      }),
      writers: new Writers(options.writers ?? { mode: 'queue', wait: 120_000 }, options.now),
      places: new Places(directory, () => undefined, () => undefined),
      throttle: new Impatient(),
      authenticator: new Authenticator(options.logins ?? { anonymous: 'alice' }),
      guard: new Guard({ profile: 'trusted', open: {} }),
      sharing: new Sharing(),
      limits: LIMITS, linger: 60_000, moves: false, lease: 0, storeAway: () => false, draining: false,
      makeDirectory: () => Promise.resolve(),
    };
    scope.after(() => pool.close());
  }

  static async open(scope: Scope, options: FrontOptions = {}): Promise<Front> {
    const front = new Front(scope, options);
    front.fake = scope.own(await FakeServer.start({ token: 'token-of-the-server' }));
    front.bound = await listenTcp(front.services, { host: '127.0.0.1', port: 0 }, options.as);
    scope.after(() => front.bound.close());
    if (!options.later) await front.serve();
    return front;
  }

  /** Puts the fake server into service. */
  async serve(): Promise<void> {
    const { pool } = this.services;
    const links = this.options.links ?? { base: 2, max: 4 };
    const backend: StaticBackend = { ...SETTINGS, links, name: 'b1', address: { host: '127.0.0.1', port: this.fake.port, token: 'token-of-the-server' } };
    pool.setStatic([backend]);
    await until(() => pool.get('b1')!.up && this.fake.open === 1);
  }

  /** A connection that has not said anything yet. */
  async stranger(): Promise<WireClient> {
    return this.scope.own(await WireClient.tcp(this.bound.address));
  }

  /** A client that is logged in. */
  async client(token?: string): Promise<WireClient> {
    const client = await this.stranger();
    await client.login(token);
    return client;
  }

  /** A client with a session of its own. */
  async owner(sessionId: string, params: object = {}): Promise<WireClient> {
    const client = await this.client();
    await client.result('session.create', { sessionId, ...params });
    return client;
  }

  /** Breaks every connection to the server, and waits until that has been seen. */
  async loseLinks(): Promise<void> {
    this.fake.dropConnections();
    await until(() => this.services.pool.get('b1')!.links.count === 0);
  }
}
