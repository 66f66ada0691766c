/** The upkeep of managed servers, put together: what they use is measured, and those that need it are replaced. */
import type { Services } from '../clients/services.js';
import { UsageBook, type Usage } from '../fleet/usage.js';
import type { Job } from '../janitor.js';
import { recyclableServers, type RenewableFleet } from './recyclable.js';
import { recycleLimits } from './recycle-limits.js';
import { Recycling } from './recycling.js';

type Config = Parameters<typeof recycleLimits>[0];
type Rolling = Parameters<typeof recyclableServers>[2];
type Latency = { pingMs?: number; createMs?: number; factor?: number };

export class Upkeep {
  private readonly book = new UsageBook();
  private readonly recycling: Recycling;
  /** For the janitor. */
  readonly jobs: readonly Job[];

  constructor(config: Config, fleet: RenewableFleet, services: Services, rolling: Rolling) {
    this.recycling = new Recycling(recycleLimits(config), recyclableServers(fleet, services, rolling, this.book));
    this.jobs = [
      { name: 'usage of servers', every: 2_000, run: () => this.book.sample(this.recycling.watched()) },
      { name: 'recycling', every: 100, run: () => this.recycling.tick(performance.now()) },
    ];
  }

  /** The configuration has changed, and the fleet knows it. */
  update(config: Config): void {
    this.recycling.update(recycleLimits(config));
  }

  /** What `skyport status` tells of it. */
  report(): {
    usage(name: string, run: number | undefined): Usage | undefined;
    latency(backend: { readonly latency: { report(now: number): Latency } }): Latency;
    recycleReason(name: string, run: number | undefined): string | undefined;
    rollOverStopped: string | undefined;
  } {
    return {
      usage: (name, run) => this.book.of(name, run),
      latency: ({ latency }) => latency.report(performance.now()),
      recycleReason: (name, run) => this.recycling.reason(name, run),
      rollOverStopped: this.recycling.rollOverStopped,
    };
  }
}
