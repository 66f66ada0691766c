/** The one Skyport of an embedded store: there are no others, and no lease. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Instance, Instances } from './instances.js';

export class SoleInstance implements Instances {
  readonly id = randomUUID();
  private readonly startedAt = Date.now();
  private readonly word = randomBytes(32).toString('base64url');
  private address = '';

  join(address: string): Promise<void> {
    this.address = address;
    return Promise.resolve();
  }

  secret(): Promise<string> {
    return Promise.resolve(this.word);
  }

  renew(): Promise<boolean> {
    return Promise.resolve(true);
  }

  list(): Promise<Instance[]> {
    return Promise.resolve([{ id: this.id, address: this.address, startedAt: this.startedAt }]);
  }

  alive(id: string): boolean {
    return id === this.id;
  }

  onGone(): void {
    // There is nobody else.
  }

  onLapsed(): void {
    // There is no lease.
  }

  tick(): Promise<void> {
    return Promise.resolve();
  }

  leave(): Promise<void> {
    return Promise.resolve();
  }
}
