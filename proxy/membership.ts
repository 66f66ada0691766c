/** This Skyport among the others on its store: makes itself known, hears of their sessions, and of their end. */
import { parseAddress } from '../config/address.js';
import type { Address } from './backends/dial.js';
import type { BackendSettings } from './backends/backend.js';
import { channels } from './channels.js';
import { Cluster, letGo } from './clients/cluster.js';
import type { Services } from './clients/services.js';
import { reviewSession } from './clients/sharing.js';
import { StoreUnavailable } from './store/redis-client.js';
import type { SessionRecord } from './store/registry.js';
import type { Shared } from './stores.js';

export class Membership {
  private secret = '';
  private joined = false;

  /** @param settings of the links to the others */
  constructor(
    private readonly shared: Shared,
    private readonly services: Services,
    private readonly settings: () => BackendSettings,
  ) {
    services.cluster = new Cluster(services, { self: shared.instances.id, alive: (id) => shared.instances.alive(id) });
    shared.registry.watch((id, record) => this.told(id, record));
    shared.instances.onGone(({ id }) => channels.instance.publish({ instance: id, change: 'gone' }));
    shared.instances.onLapsed(() => channels.instance.publish({ instance: shared.instances.id, change: 'lapsed' }));
  }

  /** @param address where the others reach this one */
  async join(address: string): Promise<void> {
    const { instances } = this.shared;
    this.secret = await instances.secret();
    this.services.authenticator.admitPeers(this.secret);
    await instances.join(address);
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
      const peers = new Map<string, Address>();
      for (const { id, address } of await instances.list()) {
        const parsed = id === instances.id ? undefined : parseAddress(address);
        if (parsed) peers.set(id, { ...parsed, token: this.secret });
      }
      this.services.pool.setPeers(peers, this.settings());
    } catch (error) {
      // That the store is away is told by its client.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  /** The others may take over at once. */
  async leave(): Promise<void> {
    if (!this.joined) return;
    this.joined = false;
    await this.shared.instances.leave().catch(() => undefined);
  }

  private told(id: string, record: SessionRecord | undefined): void {
    const { directory } = this.services;
    const session = directory.get(id);
    const lost = directory.told(id, record);
    if (lost?.deleted) for (const attachment of [...lost.attachments]) attachment.gone();
    else if (lost) letGo(lost);
    if (session && !session.deleted) reviewSession(this.services, session);
  }
}
