/**
 * A client's first messages, until it is known who is calling.
 *
 *   connect {token, …}   SDK 1.x. Its token ends here; what else it says becomes the profile
 *   ping                 SDK 0.x, which can send no token: the listener's or the anonymous user
 *   anything else        the same, for clients that skip the handshake (a CLI server lets them)
 *
 * Failed logins answer like the runtime, later each time, and are cut after a few.
 */
import { profileOf, PLAIN, type Profile } from '../backends/profile.js';
import type { ConnectResult } from '../backends/dial.js';
import { channels } from '../channels.js';
import { errorReply, isRefusal, refuse, type Refusal } from '../protocol/errors.js';
import { lookup } from '../protocol/catalogue.js';
import { isPeer, isService, type Principal } from '../identity/principal.js';
import type { LoginAttempts } from '../identity/throttle.js';
import { frameOf, type Frame } from '../wire/frame.js';
import { scan, type Scan } from '../wire/scan.js';
import type { Client } from './client.js';
import { paramsOf } from './params.js';

/** Milliseconds that a client's `connect` waits for the first backend to come up. */
const BACKEND_WAIT = 5_000;

/** What other Skyports are told; they only pass on what their own servers say. */
const PROTOCOL_VERSION = 3;
const PEER_VERSION = 'skyport';

export class Handshake {
  private readonly attempts: LoginAttempts = { failures: 0 };
  /** Messages that came while a login was under way, in order; copies. */
  private readonly behind: Buffer[] = [];
  private busy = false;

  constructor(
    private readonly client: Client,
    private readonly listenerUser: string | undefined,
  ) {}

  onMessage(frame: Frame, scanned: Scan): void {
    if (this.busy) {
      // A handful is pipelining; more is somebody who has not proved anything yet.
      if (this.behind.length >= 64) this.client.leave('SKYPORT_TOO_MANY_REQUESTS');
      else this.behind.push(Buffer.from(frame.buffer.subarray(frame.body, frame.end)));
      return;
    }
    if (scanned.kind !== 'request') return;
    const idToken = frame.buffer.toString('utf8', scanned.idStart, scanned.idEnd);
    if (scanned.method === 'connect') {
      const params = paramsOf(frame, scanned);
      this.run(() => this.connect(idToken, params, scanned.paramKeys));
      return;
    }
    const principal = this.client.services.authenticator.withoutConnect(this.listenerUser);
    if (isRefusal(principal)) {
      this.run(() => this.fail(idToken, principal));
      return;
    }
    this.client.authenticated(principal, PLAIN);
    this.client.onMessage(frame, scanned);
  }

  /** One login at a time; what comes meanwhile waits behind it. */
  private run(step: () => Promise<void>): void {
    this.busy = true;
    step()
      .catch((error: unknown) => channels.bug.publish({ where: 'clients/handshake', error }))
      .finally(() => {
        this.busy = false;
        while (!this.busy && this.behind.length > 0 && !this.client.closed) {
          const frame = frameOf(this.behind.shift()!);
          const scanned = scan(frame.buffer, frame.body, frame.end) as Scan;
          if (this.client.principal) this.client.onMessage(frame, scanned);
          else this.onMessage(frame, scanned);
        }
        // Failures count for the whole connection.
        if (!this.busy && this.client.principal && this.attempts.failures === 0) this.client.introduced();
      });
  }

  private async connect(idToken: string, params: Record<string, unknown>, keys: readonly string[]): Promise<void> {
    const { client } = this;
    const { services } = client;
    const token = params['token'];
    if (token !== undefined && token !== null && typeof token !== 'string') {
      client.deliverText(errorReply(idToken, refuse('SKYPORT_INVALID_PARAMS', 'connect: token must be a string')));
      return;
    }
    // A WebSocket client may have shown its token at the upgrade.
    const known = token ? undefined : client.principal;
    const principal = known ?? services.authenticator.login(token ?? undefined, this.listenerUser);
    if (isRefusal(principal)) return this.fail(idToken, principal);
    if (client.principal && client.principal.key !== principal.key) {
      client.deliverText(errorReply(idToken, refuse('SKYPORT_ALREADY_CONNECTED')));
      return;
    }
    const answer = await this.introduce(principal, params, keys);
    if (client.closed) return;
    if ('error' in answer) {
      client.deliverText(`{"jsonrpc":"2.0","id":${idToken},"error":${JSON.stringify(answer.error)}}`);
      return;
    }
    if (isRefusal(answer)) {
      client.deliverText(errorReply(idToken, answer));
      return;
    }
    if (token) services.throttle.success(client.transport.remote);
    client.authenticated(principal, answer.profile);
    client.protocolVersion = answer.result.protocolVersion;
    client.deliverText(`{"jsonrpc":"2.0","id":${idToken},"result":${JSON.stringify(answer.result)}}`);
  }

  /** Has a CLI server answer the rest of the `connect`, so that the client hears what that server says. */
  private async introduce(
    principal: Principal,
    params: Record<string, unknown>,
    keys: readonly string[],
  ): Promise<{ profile: Profile; result: ConnectResult } | { error: { code: number; message: string } } | Refusal> {
    const { guard, pool, tenants } = this.client.services;
    if (isPeer(principal)) {
      // It is to reach this one's sessions also while none of its servers is up.
      const profile = profileOf(params);
      return isRefusal(profile) ? profile : { profile, result: { ok: true, protocolVersion: PROTOCOL_VERSION, version: PEER_VERSION } };
    }
    const spec = lookup('connect')!;
    const caller = { user: principal.user, roles: principal.roles };
    const verdict = guard.params(caller, principal.user, spec, keys, () => params);
    if (isRefusal(verdict)) return verdict;
    const profile = profileOf(params);
    if (isRefusal(profile)) return profile;
    // Its first message: his server is there when he needs it.
    if (tenants?.lacks(principal.user) && !isService(principal)) void tenants.ready(principal.user);
    const backend = await pool.whenUp(BACKEND_WAIT, principal.user);
    if (!backend) return refuse('SKYPORT_NO_BACKEND');
    const result = await backend.handshake(profile);
    if (isRefusal(result)) return result;
    if (!('kind' in result)) {
      pool.usual.said(profile, principal.user);
      return { profile, result };
    }
    if (result.kind === 'answer') return { error: { code: result.code, message: result.message } };
    return refuse('SKYPORT_NO_BACKEND');
  }

  private async fail(idToken: string, refusal: Refusal): Promise<void> {
    const { client } = this;
    const { remote } = client.transport;
    const { delayMs, cut } = client.services.throttle.failure(remote, Date.now(), this.attempts);
    channels.loginFailed.publish({ clientId: client.id, remote, reason: refusal.name, delayMs, cut });
    await delay(delayMs);
    if (client.closed) return;
    if (cut) client.transport.end(refusal.name, errorReply(idToken, refusal), 1_000);
    else client.deliverText(errorReply(idToken, refusal));
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
