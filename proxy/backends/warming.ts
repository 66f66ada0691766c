/**
 * Gets spares warm before somebody comes for them: the work of a first turn is done (warm-up.ts), and a link is
 * open for a client that says at `connect` what most say. One after the other, and not while a new user's first
 * answer is on its way: a warm-up takes a processor for 300 ms, and the spare that follows his starts at that moment.
 */
import { channels } from '../channels.js';
import type { Backend } from './backend.js';
import { PLAIN } from './profile.js';
import type { UsualProfile } from './usual-profile.js';
import { WarmUpModel } from './warm-up-model.js';

export interface WarmingOptions {
  readonly enabled: boolean;
  /** The servers are told of a proxy: they ask that even for what is on loopback. */
  readonly isProxied: boolean;
}

/** Milliseconds after somebody came for a server. */
const QUIET = 2_000;
/** Milliseconds after which a spare does not wait for quiet any more. */
const PATIENCE = 10_000;

export class Warming {
  /** Spares that have come up, and when; the oldest first. */
  private readonly waiting = new Map<Backend, number>();
  /** Which lives of their servers have been warmed up. */
  private readonly warmed = new WeakMap<Backend, number>();
  private claimedAt = -Infinity;

  /** @param usual what clients have said at `connect` */
  constructor(
    private readonly options: () => WarmingOptions,
    private readonly usual: () => UsualProfile,
  ) {}

  /** A backend has come up. */
  up(backend: Backend): void {
    if (!isFree(backend) || this.waiting.has(backend)) return;
    // Without an incarnation the server keeps its sessions' files itself: they would lie in the home of its user.
    const { incarnation } = backend;
    if (incarnation !== undefined && this.warmed.get(backend) !== incarnation) this.waiting.set(backend, performance.now());
  }

  /** Somebody has come for a server. */
  claimed(): void {
    this.claimedAt = performance.now();
  }

  /**
   * Warms the next one. A spare that has become a user's meanwhile has his turns for it.
   * @param now of the monotonic clock, milliseconds
   * @returns when that is done; never rejects
   */
  async tick(now: number): Promise<void> {
    for (const [backend, since] of this.waiting) {
      if (isFree(backend) && this.options().enabled) {
        if (now - this.claimedAt < QUIET && now - since < PATIENCE) return;
        this.waiting.delete(backend);
        return this.warm(backend);
      }
      this.waiting.delete(backend);
    }
  }

  private async warm(backend: Backend): Promise<void> {
    const since = performance.now();
    const { name } = backend;
    channels.backendWarmUp.publish({ backend: name, step: 'begun' });
    this.warmed.set(backend, backend.incarnation!);
    // A warm-up is nobody else's business.
    const model = this.options().isProxied ? undefined : await WarmUpModel.start().catch(() => undefined);
    const reason = await backend.warmUp(model);
    model?.close();
    if (isFree(backend)) await backend.links.borrow(this.usual().profile ?? PLAIN);
    const durationMs = performance.now() - since;
    channels.backendWarmUp.publish(reason === undefined ? { backend: name, step: 'warm', durationMs } : { backend: name, step: 'failed', durationMs, reason });
  }
}

/** Nobody's yet. */
function isFree({ tenancy, eligible }: Backend): boolean {
  return tenancy.kind === 'spare' && eligible;
}
