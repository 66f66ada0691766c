/**
 * The servers that this Skyport runs itself, and what they have to do with everybody else: a process that
 * listens becomes a backend, one that is gone is none any more, one that is to go is drained first; and
 * the fleet is told what is done on a server before it stops one for being idle.
 */
import type { SkyportConfig } from '../config/schema.js';
import type { Backend } from './backends/backend.js';
import type { Pool } from './backends/pool.js';
import { Warming } from './backends/warming.js';
import { channels } from './channels.js';
import type { Claimed } from './clients/tenants.js';
import type { ReadyServer } from './fleet/run.js';
import { Fleet } from './fleet/supervisor.js';
import type { Directory } from './sessions/directory.js';
import { fleetOptions, managedSettings, warmingOptions } from './settings.js';

export class ManagedServers {
  readonly fleet: Fleet;
  readonly warming: Warming;

  /** @param config the one in force */
  constructor(
    private readonly config: () => SkyportConfig,
    private readonly directory: Directory,
    private readonly pool: () => Pool,
  ) {
    this.warming = new Warming(() => warmingOptions(config()), () => pool().usual);
    this.fleet = new Fleet(fleetOptions(config()), {
      onReady: (server) => this.ready(server),
      onSucceeded: (server) => this.ready(server),
      onGone: (name, reason, run) => this.pool().managedDown(name, reason, run),
      onRemoved: (name, reason) => this.pool().managedRemove(name, reason),
      onLine: (backend, stream, line) => channels.backendLine.publish({ backend, stream, line }),
      onStartFailed: (backend, reason, retryIn) => channels.serverStartFailed.publish({ backend, reason, retryIn }),
      onOrphansEnded: (processes) => channels.orphansEnded.publish({ processes }),
      use: (name) => this.use(name),
    });
  }

  /** Starts them, if the configuration wants any. May be called again. */
  start(): void {
    const { count, tenants } = fleetOptions(this.config());
    if (count > 0 || tenants) this.fleet.start();
  }

  /** The configuration has changed. */
  update(): void {
    this.fleet.update(fleetOptions(this.config()));
    this.start();
  }

  /** Has the server of a user started. */
  claim(user: string): Promise<Claimed> {
    this.warming.claimed();
    return this.fleet.claim(user);
  }

  /** A backend, whosever it is, has come up. */
  up(backend: Backend): void {
    this.warming.up(backend);
  }

  /** Nothing needs this process of the backend's any more. */
  retire({ kind, name, run }: Backend): void {
    if (kind === 'managed') void this.fleet.retire(name, run);
  }

  /** It hangs, or is of no use any more. */
  kill({ kind, name, run }: Backend, reason: string): void {
    if (kind === 'managed') this.fleet.kill(name, reason, run);
  }

  private ready({ name, host, port, token, workingDirectory, tenancy, canary, run }: ReadyServer): void {
    const address = { host, port, token, workingDirectory };
    this.pool().managedUp({ name, address, tenancy, canary, run }, managedSettings(this.config()));
  }

  /** What is done on a server: one with an open turn or a waiting call is busy. */
  private use(name: string): { busy: boolean; usedAt: number } {
    const backend = this.pool().get(name);
    let usedAt = backend?.usedAt ?? 0;
    for (const { seenAt } of this.directory.loadedOn(name)) usedAt = Math.max(usedAt, seenAt);
    const busy = this.directory.turnsOpen(name) > 0 || (backend?.links.waiting ?? 0) > 0;
    return { busy, usedAt };
  }
}
