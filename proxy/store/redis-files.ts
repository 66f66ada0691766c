/**
 * The files of sessions in Redis. Every write is one script that looks at the lease first, so none
 * comes in after the fence, whichever process it is from. A write whose answer is lost is sent again
 * under the same number and carried out once.
 *
 * A server that cannot write tells its clients of an error and never ends the turn (measured, runtime
 * 1.0.85), so writes wait for a Redis that is away, for `patience`. EIO of a write says that it was away for
 * longer; the write may have been carried out all the same. The server then writes the same again, with what
 * has come since: that is recognized, so nothing of it is there twice. The quota of a session is exact. That of a user is counted beside the sessions (in a
 * cluster they are in different places): it may be exceeded by what is written at the same time.
 */
import { randomBytes } from 'node:crypto';
import { CallOrder } from './call-order.js';
import { StoreUnavailable, type RedisClient, type Script } from './redis-client.js';
import { FILE_SCRIPTS } from './redis-files-scripts.js';
import { FileFault, type FileEntry, type FileFaultCode, type FileStat, type Lease, type Quotas, type SessionFiles } from './session-files.js';
import { treePath } from './tree-path.js';
import { UserSums } from './user-sums.js';

export interface RedisFilesSizes {
  /** Bytes after which a file goes on in a new string; a string of Redis may have 512 MiB. */
  readonly piece: number;
  /** Bytes that are read at once: Redis serves nobody else meanwhile. */
  readonly range: number;
  /** Bytes that one write may have. */
  readonly write: number;
  /** Milliseconds that a server's write waits for Redis. */
  readonly patience: number;
}

const MIB = 1024 * 1024;
const SIZES: RedisFilesSizes = { piece: 128 * MIB, range: 2 * MIB, write: 128 * MIB, patience: 60_000 };

/** Tries to read a file or tree that another process replaces again and again meanwhile. */
const TRIES = 10;

export class RedisFiles implements SessionFiles {
  private readonly order = new CallOrder();
  private readonly scripts: Readonly<Record<keyof typeof FILE_SCRIPTS, Script>>;
  private readonly sums: UserSums;
  /** Whose quota a session counts against; known once it was fenced or written here. */
  private readonly owners = new Map<string, string>();
  /** Stands for this process in a session's last write. */
  private readonly writer = randomBytes(9).toString('base64url');
  private readonly sizes: RedisFilesSizes;
  private seq = 0;
  /** By session: an append that may have been carried out or not. */
  private readonly unsure = new Map<string, Unsure>();
  private closed = false;

  /**
   * @param client stays the caller's: it is not closed here
   * @param quotas asked at every write
   */
  constructor(private readonly client: RedisClient, private readonly quotas: () => Quotas, sizes: Partial<RedisFilesSizes> = {}) {
    this.sizes = { ...SIZES, ...sizes };
    this.scripts = Object.fromEntries(Object.entries(FILE_SCRIPTS).map(([name, lua]) =>
      [name, client.script(`files_${name}`, lua, 1, name === 'open')])) as Record<keyof typeof FILE_SCRIPTS, Script>;
    this.sums = new UserSums(client);
  }

  fence(sessionId: string, epoch: number, owner: string): Promise<void> {
    return this.inOrder([sessionId], 'fence', (deadline) => this.fenceNow(sessionId, epoch, owner, deadline));
  }

  readFile(sessionId: string, path: string): Promise<string> {
    const what = `read ${path}`;
    return this.inOrder([sessionId], what, async (deadline) => {
      for (let tries = 0; tries < TRIES; tries++) {
        const [code, inode, pieces, content] = await this.scripts.open(this.keys(sessionId), [this.sizes.range, ...namesOf(path)], deadline) as OpenReply;
        verify(String(code), what);
        if (content !== undefined) return content.toString();
        const ranges: Buffer[] = [];
        if (await this.ranges(sessionId, String(inode), pieces, (range) => ranges.push(range))) return Buffer.concat(ranges).toString();
      }
      throw new FileFault('EIO', `${what}: the file is replaced faster than it can be read`);
    });
  }

  async exists(sessionId: string, path: string): Promise<boolean> {
    try {
      await this.stat(sessionId, path);
      return true;
    } catch (error) {
      if (error instanceof FileFault && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return false;
      throw error;
    }
  }

  stat(sessionId: string, path: string): Promise<FileStat> {
    return this.inOrder([sessionId], `stat ${path}`, async (deadline) => {
      const [code, type, size, mtime, birthtime] = await this.scripts.stat(this.keys(sessionId), namesOf(path), deadline) as string[];
      verify(code, `stat ${path}`);
      return { isFile: type === 'f', isDirectory: type === 'd', size: Number(size), mtime: Number(mtime), birthtime: Number(birthtime) };
    });
  }

  readdir(sessionId: string, path: string): Promise<FileEntry[]> {
    return this.inOrder([sessionId], `list ${path}`, async (deadline) => {
      const [code, entries] = await this.scripts.list(this.keys(sessionId), namesOf(path), deadline) as [string, string[]];
      verify(code, `list ${path}`);
      const found: FileEntry[] = [];
      for (let i = 0; i < entries.length; i += 2) {
        found.push({ name: entries[i]!, type: entries[i + 1]!.startsWith('d') ? 'directory' : 'file' });
      }
      return found.sort((one, other) => (one.name < other.name ? -1 : 1));
    });
  }

  writeFile(lease: Lease, path: string, content: string): Promise<void> {
    return this.writing(lease, `write ${path}`, (deadline) => this.put('replace', lease, path, Buffer.from(content), deadline));
  }

  appendFile(lease: Lease, path: string, content: string): Promise<void> {
    return this.writing(lease, `append to ${path}`, async (deadline) => {
      const added = this.newIn(lease, path, Buffer.from(content));
      if (added.length > 0 || content === '') await this.put('append', lease, path, added, deadline);
    });
  }

  mkdir(lease: Lease, path: string, recursive: boolean): Promise<void> {
    return this.change('mkdir', lease, `make ${path}`, () => [recursive ? 1 : 0, ...namesOf(path)]);
  }

  rm(lease: Lease, path: string, { recursive, force }: { readonly recursive: boolean; readonly force: boolean }): Promise<void> {
    return this.change('rm', lease, `remove ${path}`, () => [recursive ? 1 : 0, force ? 1 : 0, ...namesOf(path)]);
  }

  rename(lease: Lease, src: string, dest: string): Promise<void> {
    return this.change('rename', lease, `rename ${src} to ${dest}`, () => [namesOf(src).length, ...namesOf(src), ...namesOf(dest)]);
  }

  size(sessionId: string): Promise<number> {
    return this.inOrder([sessionId], 'measure', async (deadline) =>
      Number(await this.client.run((redis) => redis.hget(this.keys(sessionId)[0], 'bytes'), deadline) ?? 0));
  }

  /**
   * As of one moment, also while another process writes the session. The files appear one after the
   * other: nobody may be told of the new session before this resolves.
   */
  copy(from: string, to: Lease, owner: string): Promise<void> {
    return this.inOrder([from, to.sessionId], 'copy', async (deadline) => {
      const [epoch] = await this.client.run((redis) => redis.hmget(this.keys(to.sessionId)[0], 'epoch'), deadline);
      if (epoch != null) {
        if (Number(epoch) > to.epoch) throw fault('ESTALE', 'copy');
        const [, entries] = await this.scripts.list(this.keys(to.sessionId), [], deadline) as [string, string[]];
        if (entries.length > 0) throw new FileFault('EEXIST', 'copy: the session that it would be has files already');
      }
      let made = false;
      try {
        for (let tries = 0; tries < TRIES; tries++) {
          const tree = await this.scripts.tree(this.keys(from), []) as TreeReply;
          if (tree === null) throw new FileFault('ENOENT', 'copy: there is no such session');
          made = true;
          await this.fenceNow(to.sessionId, to.epoch, owner);
          if (await this.copyTree(from, tree, to)) return;
          await this.send('rm', to, [1, 1]);
        }
        throw new FileFault('EIO', 'copy: the session changes faster than it can be copied');
      } catch (error) {
        if (made) await (epoch == null ? this.wipeNow(to.sessionId) : this.send('rm', to, [1, 1])).catch(() => undefined);
        throw error;
      }
    });
  }

  wipe(sessionId: string): Promise<void> {
    return this.inOrder([sessionId], 'wipe', (deadline) => this.wipeNow(sessionId, deadline));
  }

  /** Resolves when everything that was asked for before is done. */
  async close(): Promise<void> {
    this.closed = true;
    await this.order.ended();
  }

  private async fenceNow(sessionId: string, epoch: number, owner: string, deadline?: number): Promise<void> {
    const [bytes, now, before] = await this.scripts.fence(this.keys(sessionId), [epoch, owner], deadline) as [string, string, string];
    this.owners.set(sessionId, now);
    if (now !== before) await this.count(sessionId, before, undefined);
    await this.count(sessionId, now, Number(bytes));
  }

  private async wipeNow(sessionId: string, deadline?: number): Promise<void> {
    const owner = await this.scripts.wipe(this.keys(sessionId), [], deadline) as string | null ?? this.owners.get(sessionId);
    this.owners.delete(sessionId);
    if (owner !== undefined) await this.count(sessionId, owner, undefined);
  }

  /** False when a file was replaced or removed before it had been read. */
  private async copyTree(from: string, tree: NonNullable<TreeReply>, to: Lease): Promise<boolean> {
    for (const [path, type, inode, pieces] of tree) {
      if (type === 'd') {
        verify((await this.send('mkdir', to, [1, ...namesOf(path)]))[0], `copy ${path}`);
        continue;
      }
      await this.put('replace', to, path, Buffer.alloc(0));
      // As bytes: the end of a range may lie within a character.
      if (!await this.ranges(from, inode, pieces, (range) => this.put('append', to, path, range))) return false;
    }
    return true;
  }

  /** Gives the pieces of a file range by range; false when they are not all there any more. */
  private async ranges(sessionId: string, inode: string, pieces: readonly number[], take: (range: Buffer) => unknown): Promise<boolean> {
    for (const [n, size] of pieces.entries()) {
      const key = this.client.keyOf(sessionId, `c:${inode}:${n}`);
      for (let at = 0; at < size; at += this.sizes.range) {
        const end = Math.min(size, at + this.sizes.range);
        const range = await this.client.run((redis) => redis.getrangeBuffer(key, at, end - 1));
        if (range.length < end - at) return false;
        await take(range);
      }
    }
    return true;
  }

  private async put(how: 'append' | 'replace', lease: Lease, path: string, content: Buffer, deadline?: number): Promise<void> {
    const { session, user } = this.quotas();
    if (content.length > this.sizes.write) throw new FileFault('EDQUOT', `${path}: one write may have ${this.sizes.write} bytes`);
    const owner = user === undefined ? undefined : await this.ownerOf(lease.sessionId, deadline);
    const room = owner === undefined ? '' : Math.max(0, user! - await this.sums.of(owner, deadline));
    const args = [session ?? '', room, this.sizes.piece, content, ...namesOf(path)];
    const seq = ++this.seq;
    const reply = await this.send(how, lease, args, deadline, seq).catch((error: unknown) => {
      if (how === 'append' && error instanceof StoreUnavailable && error.unsure) this.unsure.set(lease.sessionId, { lease, path, content, args, seq, settled: false });
      throw error;
    });
    if (reply[0] === 'EDQUOT') {
      throw new FileFault('EDQUOT', reply[1] === 'user' ? `${path}: the sessions of ${owner} may have ${user} bytes` : `${path}: a session may have ${session} bytes`);
    }
    verify(reply[0], path);
    if (owner !== undefined) await this.count(lease.sessionId, owner, Number(reply[1]));
  }

  private change(how: 'mkdir' | 'rm' | 'rename', lease: Lease, what: string, args: () => (string | number)[]): Promise<void> {
    return this.writing(lease, what, async (deadline) => {
      const reply = await this.send(how, lease, args(), deadline);
      verify(reply[0], what);
      const owner = this.quotas().user === undefined || how === 'mkdir' ? undefined : await this.ownerOf(lease.sessionId, deadline);
      if (owner !== undefined) await this.count(lease.sessionId, owner, Number(reply[1]));
    });
  }

  /** @param seq the same for all tries: by it the script knows a write that it has seen */
  private async send(
    how: 'append' | 'replace' | 'mkdir' | 'rm' | 'rename', lease: Lease, args: readonly (string | number | Buffer)[], deadline?: number, seq = ++this.seq,
  ): Promise<WriteReply> {
    return await this.scripts[how](this.keys(lease.sessionId), [lease.epoch, this.writer, seq, ...args], deadline) as WriteReply;
  }

  /** Before anything else is written: an append that may have failed is carried out, unless it was then. */
  private async settle({ sessionId }: Lease, deadline: number): Promise<void> {
    const before = this.unsure.get(sessionId);
    if (!before || before.settled) return;
    const [code] = await this.send('append', before.lease, before.args, deadline, before.seq);
    before.settled = true;
    // It was not carried out, and never will be.
    if (code !== 'OK') this.unsure.delete(sessionId);
  }

  /** The content of an append without what its server repeats, because it was told that it had failed. */
  private newIn(lease: Lease, path: string, content: Buffer): Buffer {
    const before = this.unsure.get(lease.sessionId);
    if (before?.path !== path || before.lease.epoch !== lease.epoch) return content;
    this.unsure.delete(lease.sessionId);
    const repeated = content.subarray(0, before.content.length).equals(before.content);
    return repeated ? content.subarray(before.content.length) : content;
  }

  private async ownerOf(sessionId: string, deadline?: number): Promise<string | undefined> {
    const known = this.owners.get(sessionId);
    if (known !== undefined) return known;
    const owner = await this.client.run((redis) => redis.hget(this.keys(sessionId)[0], 'owner'), deadline);
    if (owner !== null) this.owners.set(sessionId, owner);
    return owner ?? undefined;
  }

  private async count(sessionId: string, owner: string, bytes: number | undefined): Promise<void> {
    if (this.quotas().user !== undefined) await this.sums.count(owner, sessionId, bytes);
  }

  private keys(sessionId: string): [string] {
    return [this.client.keyOf(sessionId, 'm')];
  }

  private writing(lease: Lease, what: string, call: (deadline: number) => Promise<void>): Promise<void> {
    return this.inOrder([lease.sessionId], what, async (deadline) => {
      await this.settle(lease, deadline);
      await call(deadline);
    }, Math.max(this.sizes.patience, this.client.timeout));
  }

  /** The time that a call waits for those before it counts too. */
  private inOrder<T>(sessionIds: readonly string[], what: string, call: (deadline: number) => Promise<T>, patience = this.client.timeout): Promise<T> {
    if (this.closed) return Promise.reject(new FileFault('EIO', `${what}: the store is closed`));
    const deadline = performance.now() + patience;
    return this.order.run(sessionIds, () => call(deadline)).catch((error: unknown) => {
      throw error instanceof StoreUnavailable ? new FileFault('EIO', `${what}: ${error.message}`) : error;
    });
  }
}

interface Unsure {
  readonly lease: Lease;
  readonly path: string;
  readonly content: Buffer;
  readonly args: readonly (string | number | Buffer)[];
  readonly seq: number;
  settled: boolean;
}

type OpenReply = [code: Buffer, inode: Buffer, pieces: number[], content?: Buffer];
type WriteReply = [code: string, bytesOrWhich: string];
type TreeReply = [path: string, type: string, inode: string, pieces: number[]][] | null;

const REASONS: Partial<Readonly<Record<FileFaultCode, string>>> = {
  ENOENT: 'there is no such file or directory',
  EEXIST: 'it is there already',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'it is a directory',
  ENOTEMPTY: 'the directory is not empty',
  EINVAL: 'that cannot be done to this path',
  ESTALE: 'the session has moved to another server: this one may not write it any more',
  EIO: 'a later write was carried out before it',
};

/** @throws FileFault for a path that leads out of the tree or holds what no name holds */
function namesOf(path: string): string[] {
  return treePath(path).split('/').slice(1);
}

/** @throws FileFault unless the code of a reply is OK */
function verify(code: string | undefined, what: string): void {
  if (code !== 'OK') throw fault(code as FileFaultCode, what);
}

function fault(code: FileFaultCode, what: string): FileFault {
  return new FileFault(code, `${what}: ${REASONS[code] ?? code}`);
}
