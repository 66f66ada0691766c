/** The embedded registry as a shared one: this process is the only one that changes it, so it knows all records. */
import type { Registry } from './registry.js';
import { Superseded, type SharedRecord, type SharedRegistry } from './shared-registry.js';

export class SoleRegistry implements SharedRegistry {
  private readonly records = new Map<string, SharedRecord>();

  /** @param store is this one's from here on, and closed with it */
  constructor(private readonly store: Registry) {
    // One that was stored before there were holders has none.
    for (const record of store.load()) this.records.set(record.id, { holder: '', ...record });
  }

  load(): Promise<SharedRecord[]> {
    return Promise.resolve([...this.records.values()]);
  }

  find(id: string): Promise<SharedRecord | undefined> {
    return Promise.resolve(this.records.get(id));
  }

  async create(record: SharedRecord): Promise<boolean> {
    if (this.records.has(record.id)) return false;
    await this.keep(record);
    return true;
  }

  async put(record: SharedRecord): Promise<void> {
    const stored = this.records.get(record.id);
    if (stored === undefined || stored.epoch > record.epoch) throw new Superseded(record.id, stored);
    await this.keep(record);
  }

  async claim(record: SharedRecord, fromEpoch: number): Promise<boolean> {
    if (this.records.get(record.id)?.epoch !== fromEpoch) return false;
    await this.keep(record);
    return true;
  }

  async remove(id: string, epoch?: number): Promise<void> {
    const stored = this.records.get(id);
    if (stored !== undefined && epoch !== undefined && stored.epoch > epoch) throw new Superseded(id, stored);
    this.records.delete(id);
    await this.store.remove(id);
  }

  watch(): void {
    // There are no others.
  }

  tick(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await this.store.close();
  }

  /** What the store refuses was never there: the next call finds what it found before. */
  private async keep(record: SharedRecord): Promise<void> {
    const before = this.records.get(record.id);
    this.records.set(record.id, record);
    try {
      await this.store.put(record);
    } catch (error) {
      if (this.records.get(record.id) === record) {
        if (before === undefined) this.records.delete(record.id);
        else this.records.set(record.id, before);
      }
      throw error;
    }
  }
}
