/** HAProxy as a TCP balancer. One thread, as one Skyport has one: CPU time is what is compared. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { install } from './packages.js';
import { freePort, halt, launch, listening, mostConnections, type Rival } from './rival.js';

export const haproxy: Rival = {
  name: 'haproxy',
  title: 'HAProxy tcp',
  missing: () => install('haproxy', ['haproxy']),
  async start({ backend, directory }) {
    const address = { host: '127.0.0.1', port: await freePort() };
    const config = path.join(directory, 'haproxy.cfg');
    const most = Math.min(12_000, mostConnections());
    writeFileSync(config, [
      'global', '  nbthread 1', `  maxconn ${most}`,
      'defaults', '  mode tcp', '  timeout connect 10s', '  timeout client 1h', '  timeout server 1h', `  maxconn ${most}`,
      'listen bench', `  bind ${address.host}:${address.port}`, '  backlog 4096', `  server cli ${backend.host}:${backend.port}`, '',
    ].join('\n'));
    const child = launch(['/usr/sbin/haproxy', '-db', '-f', config], directory);
    await listening(child, address, directory);
    return { address, pid: child.pid, stop: () => halt(child) };
  },
};
