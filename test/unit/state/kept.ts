/** Sessions' files as servers leave them, in a store of their own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EmbeddedFiles } from '../../../proxy/store/embedded-files.js';

export class Kept {
  private readonly directory = mkdtempSync(path.join(tmpdir(), 'skyport-kept-'));
  readonly files = new EmbeddedFiles(this.directory, () => ({ session: undefined, user: undefined }));

  async put(sessionId: string, contents: { readonly [path: string]: string }): Promise<void> {
    await this.files.fence(sessionId, 1, 'alice');
    for (const [name, content] of Object.entries(contents)) {
      await this.files.writeFile({ sessionId, epoch: 1 }, `/${name}`, content);
    }
  }

  async end(): Promise<void> {
    await this.files.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const START = {
  type: 'session.start',
  data: {
    sessionId: 's', version: 1, producer: 'copilot-agent', copilotVersion: '0.0.0', startTime: '2026-01-01T00:00:00.000Z',
    selectedModel: 'gpt-4.1', contextTier: null, context: { cwd: '/from/start' }, remoteSteerable: false, alreadyInUse: true,
  },
  id: 'e1', timestamp: '2026-01-01T00:00:00.500Z', parentId: null,
};

export function said(id: string, content: string): object {
  return { type: 'user.message', data: { content, messageId: `m-${id}` }, id, timestamp: '2026-01-01T00:00:01.000Z', parentId: 'e1' };
}

export function events(...list: readonly object[]): string {
  return list.map((event) => `${JSON.stringify(event)}\n`).join('');
}

export function yaml(fields: { readonly [key: string]: unknown }): string {
  return Object.entries(fields).map(([key, value]) => `${key}: ${String(value)}\n`).join('');
}

export const WORKSPACE = {
  id: 's', cwd: '/work', client_name: 'sdk', name: 'A name', user_named: false, summary_count: 0, fork_count: 0,
  created_at: '2026-02-02T00:00:00.000Z', updated_at: '2026-02-03T00:00:00.000Z',
};
