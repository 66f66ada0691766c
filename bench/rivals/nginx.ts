/** nginx as a TCP balancer, one worker. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { install } from './packages.js';
import { freePort, halt, launch, listening, type Rival } from './rival.js';

const MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

export const nginx: Rival = {
  name: 'nginx',
  title: 'nginx stream',
  missing: () => install('nginx', ['nginx', 'libnginx-mod-stream']) ?? (existsSync(MODULE) ? undefined : install('no-such-program', ['libnginx-mod-stream'])) ?? undefined,
  async start({ backend, directory }) {
    const address = { host: '127.0.0.1', port: await freePort() };
    const config = path.join(directory, 'nginx.conf');
    mkdirSync(path.join(directory, 'logs'), { recursive: true });
    writeFileSync(config, [
      `load_module ${MODULE};`, 'daemon off;', 'worker_processes 1;', 'worker_rlimit_nofile 65536;', `pid ${directory}/nginx.pid;`, 'error_log stderr warn;',
      process.getuid?.() === 0 ? 'user root;' : '',
      'events { worker_connections 30000; }',
      'stream {', '  access_log off;',
      `  server { listen ${address.host}:${address.port} backlog=4096; proxy_pass ${backend.host}:${backend.port}; proxy_timeout 1h; }`,
      '}', '',
    ].join('\n'));
    const child = launch(['/usr/sbin/nginx', '-p', directory, '-c', config], directory);
    await listening(child, address, directory);
    return { address, pid: child.pid, stop: () => halt(child) };
  },
};
