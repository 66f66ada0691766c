/** Whether the embedded store of a Skyport has files of a session (store/session-places.ts: the layout). */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { SkyportUnderTest } from './skyport.js';

/** @param id in lower case */
export function hasFiles({ directory }: SkyportUnderTest, id: string): boolean {
  const root = path.join(directory, 'data', 'sessions');
  return readdirSync(root).some((shard) => /^[0-9a-f]{2}$/.test(shard) && existsSync(path.join(root, shard, id)));
}
