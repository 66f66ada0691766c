/**
 * CPU, memory and files of this process, under the names that every Prometheus client library uses,
 * so that existing dashboards find them. prom-client's own set is not used: its garbage-collection
 * observer can never be taken away again.
 */
import { readdir } from 'node:fs/promises';
import type { MetricBook } from './metric-book.js';

/** @returns reads the values anew; to be called before each scrape */
export function processMetrics(book: MetricBook): () => Promise<void> {
  const cpu = book.counter('process_cpu_seconds_total', 'CPU time, user and system, of the Skyport process; not of its managed servers. 1 per second is one full core, all that one Skyport can use.');
  const resident = book.gauge('process_resident_memory_bytes', 'Memory of the Skyport process that is in RAM.');
  const heapUsed = book.gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.');
  const heapTotal = book.gauge('nodejs_heap_size_total_bytes', 'JavaScript heap reserved.');
  const external = book.gauge('nodejs_external_memory_bytes', 'Memory of buffers outside the JavaScript heap: bytes on their way live here.');
  const started = book.gauge('process_start_time_seconds', 'When the process started, in Unix time.');
  const files = book.gauge('process_open_fds', 'Open file descriptors: each client, each link and each listener holds one. NaN where the system does not tell (anything but Linux).');
  started.set(Math.round(Date.now() / 1000 - process.uptime()));

  return async () => {
    const { user, system } = process.cpuUsage();
    cpu.reset();
    cpu.inc((user + system) / 1e6);
    const memory = process.memoryUsage();
    resident.set(memory.rss);
    heapUsed.set(memory.heapUsed);
    heapTotal.set(memory.heapTotal);
    external.set(memory.external);
    files.set(await openFiles());
  };
}

async function openFiles(): Promise<number> {
  try {
    // Less one: the directory itself is open while it is read.
    return (await readdir('/proc/self/fd')).length - 1;
  } catch {
    return Number.NaN;
  }
}
