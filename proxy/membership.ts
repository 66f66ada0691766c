/**
 * This Skyport among the others on its store: makes itself known, hears of their sessions, and of their end;
 * and makes sure that it serves nothing any more that they have taken over.
 */
import { parseAddress } from '../config/address.js';
import type { Address } from './backends/dial.js';
import type { BackendSettings } from './backends/backend.js';
import { channels } from './channels.js';
import { Cluster, DRAINING } from './clients/cluster.js';
import { letGo } from './clients/peers.js';
import type { Services } from './clients/services.js';
import { reviewSession } from './clients/sharing.js';
import { adoptUnused } from './clients/orphans.js';
import type { Instance } from './store/instances.js';
import { StoreUnavailable } from './store/redis-client.js';
import type { SessionRecord } from './store/registry.js';
import type { Shared } from './stores.js';

export class Membership {
  private secret = '';
  private joined = false;
  private known: readonly Instance[] = [];
  /** When the last tick of `watch` was, monotonic milliseconds. */
  private watchedAt = performance.now();
  private catchingUp: Promise<void> | undefined;

  /** @param settings of the links to the others */
  constructor(
    private readonly shared: Shared,
    private readonly services: Services,
    private readonly settings: () => BackendSettings,
  ) {
    const { instances, registry } = shared;
    services.cluster = new Cluster(services, { self: instances.id, gone: (id) => instances.gone(id) });
    registry.watch((id, record) => this.told(id, record));
    instances.onGone(({ id }) => channels.instance.publish({ instance: id, change: 'gone' }));
    instances.onLapsed(() => {
      channels.instance.publish({ instance: instances.id, change: 'lapsed' });
      void this.catchUp();
    });
  }

  /** The others, as of the last tick. */
  get others(): readonly Instance[] {
    return this.known;
  }

  /** Before the first client can make a session: one of an instance that nobody knows would be taken over. */
  async enter(): Promise<void> {
    const { instances } = this.shared;
    this.secret = await instances.secret();
    this.services.authenticator.admitPeers(this.secret);
    await instances.join('');
  }

  /** @param address where the others reach this one */
  async join(address: string): Promise<void> {
    await this.shared.instances.join(address);
    this.joined = true;
    await this.tick();
  }

  /** Janitor, every second: renews the lease, looks for the others and for what was not heard. */
  async tick(): Promise<void> {
    if (!this.joined) return;
    const { instances, registry } = this.shared;
    try {
      await instances.tick();
      await registry.tick();
      this.known = (await instances.list()).filter(({ id }) => id !== instances.id);
      const peers = new Map<string, Address>();
      for (const { id, address } of this.known) {
        const parsed = parseAddress(address);
        if (parsed) peers.set(id, { ...parsed, token: this.secret });
      }
      this.services.pool.setPeers(peers, this.settings());
    } catch (error) {
      // That the store is away is told by its client.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  /**
   * Janitor, as often as it can: notices that this process did not run for so long (SIGSTOP, a frozen host) that
   * the others may have taken its sessions over. Nothing that servers and clients have sent meanwhile is
   * looked at before it is known whose they are.
   */
  watch(): void {
    const now = performance.now();
    const away = now - this.watchedAt;
    this.watchedAt = now;
    if (this.joined && away > this.services.lease / 2) void this.catchUp();
  }

  /** What a Skyport has left that is gone is this one's to delete when it is old. @param before milliseconds since the epoch */
  async adoptUnused(before: number, most: number): Promise<void> {
    const { instances } = this.shared;
    try {
      await adoptUnused(this.services.directory, before, most, (id) => instances.gone(id));
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  /** The others are to take what they use of this one's sessions. */
  drain(): void {
    this.services.roster.tellPeers(`{"jsonrpc":"2.0","method":"${DRAINING}","params":{}}`);
  }

  /** The others may take over at once. */
  async leave(): Promise<void> {
    if (!this.joined) return;
    this.joined = false;
    await this.shared.instances.leave().catch(() => undefined);
  }

  private catchUp(): Promise<void> {
    this.catchingUp ??= this.hearAgain().finally(() => (this.catchingUp = undefined));
    return this.catchingUp;
  }

  private async hearAgain(): Promise<void> {
    const { pool, roster } = this.services;
    pool.pause();
    for (const client of roster.all()) client.transport.pause();
    try {
      await this.shared.registry.reread();
    } catch (error) {
      // Then nobody could take anything over either.
      if (!(error instanceof StoreUnavailable)) throw error;
    } finally {
      pool.resume();
      for (const client of roster.all()) client.transport.resume();
    }
  }

  private told(id: string, record: SessionRecord | undefined): void {
    const { services } = this;
    const session = services.directory.get(id);
    const shares = JSON.stringify(session?.shares);
    const holder = session?.holder;
    const moved = services.directory.told(id, record);
    if (moved && !moved.deleted && holder === this.shared.instances.id) {
      channels.sessionTaken.publish({ sessionId: id, from: holder, to: moved.holder, direction: 'out' });
    }
    if (moved?.deleted) {
      services.stored?.listing.forget(id);
      for (const attachment of [...moved.attachments]) attachment.gone();
    } else if (moved) {
      letGo(services, moved);
    }
    if (session && !session.deleted && JSON.stringify(session.shares) !== shares) reviewSession(services, session);
  }
}
