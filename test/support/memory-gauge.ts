/**
 * Reads the memory of another Node process after a garbage collection of its own. The process is
 * started with `environment`, which loads a module that answers on a Unix socket.
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { randomUUID } from 'node:crypto';

/** All in bytes. */
export interface Memory {
  /** Resident, as the kernel counts it (/proc). */
  readonly resident: number;
  readonly heapUsed: number;
  /** Buffers and the like, outside the heap. */
  readonly external: number;
}

const MODULE = `
import http from 'node:http';
const door = http.createServer(async (ask, answer) => {
  for (let n = 0; n < 3; n++) {
    global.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  answer.setHeader('connection', 'close');
  answer.end(JSON.stringify({ pid: process.pid, ...process.memoryUsage() }));
});
door.listen(process.env.MEMORY_GAUGE);
door.unref();
// Removes the socket.
process.on('exit', () => door.close());
`;

export class MemoryGauge {
  private readonly socket = path.join(tmpdir(), `gauge-${randomUUID().slice(0, 8)}.sock`);

  /** For the one process to measure. */
  get environment(): NodeJS.ProcessEnv {
    const module = `data:text/javascript;base64,${Buffer.from(MODULE).toString('base64')}`;
    return { NODE_OPTIONS: `--expose-gc --import=${module}`, MEMORY_GAUGE: this.socket };
  }

  async read(): Promise<Memory> {
    const text = await new Promise<string>((resolve, reject) => {
      const asked = request({ socketPath: this.socket, path: '/' }, (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (part: string) => (body += part)).on('end', () => resolve(body));
      });
      asked.on('error', reject).end();
    });
    const { pid, heapUsed, external } = JSON.parse(text) as { pid: number; heapUsed: number; external: number };
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1];
    return { resident: Number(kilobytes) * 1024, heapUsed, external };
  }
}
