/**
 * Ports for what a test starts. The system gives none of them to whoever asks for any port, and no two
 * processes of tests draw from the same ones, of one run or of several: each has blocks of its own, and a
 * block belongs to whoever listens on its first port.
 */
import net from 'node:net';

const FIRST = 16_000;
const BLOCK = 100;
const BLOCKS = 160;

const rest: number[] = [];

/** Ports that nobody listens on now, nor will before they are used; none is given twice by one process. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = rest.shift();
    if (port === undefined) rest.push(...await claimBlock());
    else if (await isFree(port)) ports.push(port);
  }
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}

/** @returns all but the first port of a block that was nobody's, and is this process's until it ends */
async function claimBlock(): Promise<number[]> {
  const from = Math.floor(Math.random() * BLOCKS);
  for (let n = 0; n < BLOCKS; n++) {
    const first = FIRST + ((from + n) % BLOCKS) * BLOCK;
    const holder = await listen(first);
    if (holder === undefined) continue;
    holder.unref();
    return Array.from({ length: BLOCK - 1 }, (_, at) => first + 1 + at);
  }
  throw new Error(`all ports from ${FIRST} to ${FIRST + BLOCK * BLOCKS} are taken`);
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/** @returns undefined where somebody else listens */
function listen(port: number): Promise<net.Server | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
