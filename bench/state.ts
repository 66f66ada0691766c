/**
 * What it costs to keep the state of sessions in the embedded store, in turns a second and CPU time a turn.
 *
 *   npm run bench:state -- [directory]
 *
 * A turn is what a CLI server does in one (PROTOCOL: "The virtual session file system"): two appends to the
 * history, of 20 KB and 2 KB, workspace.yaml written beside and renamed twice, six looks and small reads.
 * The same turns through node:fs/promises, without order, leases or quotas, are there to compare.
 * CPU time is that of the process, all its threads.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import * as promises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EmbeddedFiles } from '../proxy/store/embedded-files.js';
import type { Quotas } from '../proxy/store/session-files.js';

const SESSIONS = 500;
const TURNS = 5000;
/** Sessions that are in a turn at the same time. */
const AT_ONCE = 16;

const long = `{"type":"assistant.message","data":"${'the quick brown fox '.repeat(1000)}"}\n`;
const short = `{"type":"session.idle","data":"${'the quick brown fox '.repeat(100)}"}\n`;
const workspace = `id: x\n${'key: value\n'.repeat(27)}`;

/** Calls on the files of one session, whoever keeps them. */
interface Tree {
  append(file: string, content: string): Promise<unknown>;
  write(file: string, content: string): Promise<unknown>;
  rename(from: string, to: string): Promise<unknown>;
  read(file: string): Promise<unknown>;
  stat(file: string): Promise<unknown>;
  exists(file: string): Promise<unknown>;
}

async function turn(tree: Tree): Promise<void> {
  for (const content of [long, short]) {
    await tree.exists('/workspace.yaml');
    await tree.stat('/events.jsonl');
    await tree.append('/events.jsonl', content);
    await tree.write('/workspace.yaml.tmp', workspace);
    await tree.rename('/workspace.yaml.tmp', '/workspace.yaml');
    await tree.read('/workspace.yaml');
  }
}

async function measure(name: string, trees: readonly Tree[]): Promise<void> {
  for (const tree of trees) {
    await tree.append('/events.jsonl', short);
    await tree.write('/workspace.yaml', workspace);
  }
  const cpu = process.cpuUsage();
  const began = performance.now();
  let next = 0;
  let longest = 0;
  const take = async (): Promise<void> => {
    for (let index = next++; index < TURNS; index = next++) {
      const from = performance.now();
      await turn(trees[index % trees.length]!);
      longest = Math.max(longest, performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const cell = (value: number): string => value.toFixed(0).padStart(7);
  console.log(`${name.padEnd(28)} ${cell(TURNS / seconds)} turns/s ${cell((user + system) / TURNS)} µs CPU a turn   longest turn ${longest.toFixed(1)} ms`);
}

async function embedded(name: string, directory: string, quotas: Quotas): Promise<void> {
  const files = new EmbeddedFiles(directory, () => quotas);
  const trees: Tree[] = [];
  for (let index = 0; index < SESSIONS; index++) {
    const lease = { sessionId: `session-${index}`, epoch: 1 };
    await files.fence(lease.sessionId, lease.epoch, `user-${index % 10}`);
    trees.push({
      append: (file, content) => files.appendFile(lease, file, content),
      write: (file, content) => files.writeFile(lease, file, content),
      rename: (from, to) => files.rename(lease, from, to),
      read: (file) => files.readFile(lease.sessionId, file),
      stat: (file) => files.stat(lease.sessionId, file),
      exists: (file) => files.exists(lease.sessionId, file),
    });
  }
  await measure(name, trees);
  await files.close();
}

async function plain(name: string, directory: string): Promise<void> {
  await measure(name, Array.from({ length: SESSIONS }, (_, index) => {
    const at = (file: string): string => path.join(directory, `session-${index}`, file);
    mkdirSync(at(''), { recursive: true });
    return {
      append: (file, content) => promises.appendFile(at(file), content),
      write: (file, content) => promises.writeFile(at(file), content),
      rename: (from, to) => promises.rename(at(from), at(to)),
      read: (file) => promises.readFile(at(file), 'utf8'),
      stat: (file) => promises.stat(at(file)),
      exists: (file) => promises.access(at(file)),
    };
  }));
}

const below = process.argv[2] ?? tmpdir();
async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(path.join(below, 'skyport-bench-'));
  await work(directory).finally(() => rmSync(directory, { recursive: true, force: true }));
}

await inDirectory((directory) => embedded('embedded', directory, { session: undefined, user: undefined }));
await inDirectory((directory) => embedded('embedded, with quotas', directory, { session: 1e12, user: 1e12 }));
await inDirectory((directory) => plain('node:fs/promises', directory));
