/**
 * A managed server that stands behind a door: what `fleet.command` starts is this program, which starts
 * the real runtime and passes connections on to it. SIGUSR2 cuts the oldest connection, Skyport's control
 * link, as a network or a firewall would; the server itself lives on.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { RUNTIME_BINARY } from './runtime.js';

const PROGRAM = `
import { spawn } from 'node:child_process';
import net from 'node:net';
const server = spawn(${JSON.stringify(RUNTIME_BINARY)}, process.argv.slice(2), { stdio: ['ignore', 'pipe', 'inherit'] });
server.on('exit', (code) => process.exit(code ?? 1));
process.on('SIGTERM', () => server.kill('SIGTERM'));
const near = [];
process.on('SIGUSR2', () => near[0]?.destroy());
server.stdout.on('data', (data) => {
  const port = Number(/listening on port (\\d+)/.exec(String(data))?.[1] ?? 0);
  if (port === 0) return;
  const door = net.createServer({ noDelay: true }, (one) => {
    near.push(one);
    const other = net.connect({ port, host: '127.0.0.1', noDelay: true });
    for (const [from, to] of [[one, other], [other, one]]) {
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
    one.on('close', () => near.splice(near.indexOf(one), 1));
  });
  door.listen(0, '127.0.0.1', () => console.log('CLI server listening on port ' + door.address().port));
});
`;

/** @returns what goes into `fleet.command` */
export function frontDoor(directory: string): string[] {
  const file = path.join(directory, 'front-door.mjs');
  writeFileSync(file, PROGRAM);
  return [process.execPath, file];
}
