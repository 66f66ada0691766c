/**
 * The embedded registry: LMDB in `<store.path>/registry`. A commit is in the operating system's
 * hands before `put` resolves, so it survives `kill -9` of Skyport; several processes may read.
 */
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { makePrivate } from './modes.js';
import type { Registry, SessionRecord } from './registry.js';

/** Bumped when a record changes in a way that older code cannot read. */
const FORMAT = 1;

export class EmbeddedRegistry implements Registry {
  private readonly db: RootDatabase<SessionRecord | number, string>;

  /**
   * @param path `store.path`; made when missing, readable by its owner only
   * @throws when the directory cannot be used or holds another format
   */
  constructor(path: string) {
    const directory = join(path, 'registry');
    // LMDB's own modes let others read, and servers with uids of their own may pass through `path`.
    makePrivate(directory);
    this.db = open<SessionRecord | number, string>({ path: directory, encoding: 'json' });
    const format = this.db.get('format');
    if (format === undefined) this.db.putSync('format', FORMAT);
    else if (format !== FORMAT) {
      void this.db.close();
      throw new Error(`${path} holds a registry of format ${String(format)}; this version reads format ${FORMAT}`);
    }
  }

  load(): SessionRecord[] {
    const records: SessionRecord[] = [];
    for (const { value } of this.db.getRange({ start: 'session:', end: 'session;' })) {
      records.push(value as SessionRecord);
    }
    return records;
  }

  async put(record: SessionRecord): Promise<void> {
    await this.db.put(`session:${record.id}`, record);
  }

  async remove(id: string): Promise<void> {
    await this.db.remove(`session:${id}`);
  }

  async close(): Promise<void> {
    await this.db.flushed;
    await this.db.close();
  }
}
