/**
 * Skyport as its default config has it: ownership, metrics, logs, state and the tenant's guard. What differs from
 * config/skyport.yaml is where it listens, who its users are, and that its CLI server is the bench's.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { halt, launch, logOf, type Rival } from './rival.js';

const PROGRAM = fileURLToPath(new URL('../../proxy/main.js', import.meta.url));

export const skyport: Rival = {
  name: 'skyport',
  title: 'Skyport',
  missing: () => undefined,
  async start({ backend, directory, tokens, redis }) {
    // In a directory of its own: the one of the config is watched.
    const config = path.join(directory, 'config', 'skyport.yaml');
    mkdirSync(path.dirname(config));
    const users = tokens.map((token, i) => `- { user: user-${i}, sha256: ${createHash('sha256').update(token).digest('hex')} }`);
    writeFileSync(path.join(directory, 'config', 'tokens.yaml'), `${users.join('\n')}\n`, { mode: 0o600 });
    writeFileSync(config, [
      'listen: [{ tcp: "127.0.0.1:0" }, { http: "127.0.0.1:0" }]',
      tokens.length === 0 ? 'identity: { anonymous: local }' : 'identity: { tokens_file: ./tokens.yaml }',
      'fleet: { count: 0 }', redis === undefined ? 'store: { path: ../data }' : `store: { driver: redis, url: "${redis}", path: ../data }`,
      `backends: [{ name: cli, url: "tcp://${backend.host}:${backend.port}" }]`, '',
    ].join('\n'));
    const profile = process.env.PROFILE === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${process.env.PROFILE}`];
    const child = launch([process.execPath, ...profile, PROGRAM, 'start', '--config', config], directory);
    for (;;) {
      const log = logOf(directory);
      const address = /"event":"listening"[^\n]*?"kind":"tcp"[^\n]*?"address":"([^"]+)"|"event":"listening"[^\n]*?"address":"([^"]+)"/.exec(log);
      if (address && log.includes('"event":"ready"')) {
        const [host, port] = (address[1] ?? address[2]!).split(':');
        return { address: { host: host!, port: Number(port) }, pid: child.pid, stop: () => halt(child, profile.length > 0 ? 'SIGTERM' : 'SIGKILL') };
      }
      if (child.exitCode !== null) throw new Error(`Skyport ended: ${log}`);
      await sleep(50);
    }
  },
};
