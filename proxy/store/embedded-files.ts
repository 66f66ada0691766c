/**
 * The files of sessions as plain files in `<store.path>/sessions/`, readable by their owner only.
 *
 * What a call has written is in the operating system's hands when it resolves, so it survives `kill -9`
 * of Skyport. One process has the directory; a write's lease is looked at and the write carried out with
 * nothing in between. Small things are done at once, within the call (session-tree.ts says why).
 */
import { faultOf } from './disk-fault.js';
import { CallOrder } from './call-order.js';
import { OpenHistories } from './open-histories.js';
import { bytesOf, Usage, type Counted } from './quota.js';
import { FileFault, type DirectFiles, type FileEntry, type FileStat, type Lease, type Quotas, type SessionFiles } from './session-files.js';
import { readLease, replaceLease, storeLease } from './session-lease.js';
import { remove, SessionPlaces } from './session-places.js';
import { SessionTree, type Change } from './session-tree.js';
import { promised, type Soon } from './soon.js';
import { directoryName, treePath } from './tree-path.js';

/** Sessions whose lease is kept in memory; others are opened again when they are asked for. */
const OPEN_SESSIONS = 4096;

/** A session that was opened. */
class OpenSession implements Counted {
  bytes: number | undefined;

  /** @param epoch the lowest that may write; undefined for none, until the next fence */
  constructor(
    readonly sessionId: string,
    readonly name: string,
    readonly tree: SessionTree,
    public epoch: number | undefined,
    public owner: string,
  ) {}

  count(): number {
    return this.tree.count();
  }
}

export class EmbeddedFiles implements SessionFiles {
  private readonly places: SessionPlaces;
  private readonly order = new CallOrder();
  private readonly usage: Usage;
  /** Least recently used first. */
  private readonly open = new Map<string, OpenSession>();
  private readonly histories = new OpenHistories();
  private readonly swept: Promise<void>;
  private closed = false;

  /**
   * @param path `store.path`; made when missing, readable by its owner only
   * @param quotas asked at every write that makes a session larger
   * @throws when the directory cannot be used or has another layout
   */
  constructor(path: string, quotas: () => Quotas) {
    this.places = new SessionPlaces(path);
    this.usage = new Usage(quotas, {
      sessionsOf: (owner) => this.places.notedOf(owner),
      bytesOf: (name, owner) => this.countFor(name, owner),
    });
    this.swept = this.places.sweep();
  }

  fence(sessionId: string, epoch: number, owner: string): Promise<void> {
    return this.inOrder([sessionId], 'fence', () => this.fenceNow(sessionId, epoch, owner));
  }

  /** Each is carried out within the call, unless something of the same session is under way or a lot has to be read. */
  readonly direct: DirectFiles = {
    readFile: (sessionId, path) => this.read(sessionId, path, 'read', (tree, at) => tree.read(at)),
    exists: (sessionId, path) => this.soon(sessionId, `look for ${path}`, () => {
      const at = treePath(path);
      return this.find(sessionId)?.tree.has(at) ?? false;
    }),
    stat: (sessionId, path) => this.read(sessionId, path, 'stat', (tree, at) => tree.stat(at)),
    readdir: (sessionId, path) => this.read(sessionId, path, 'list', (tree, at) => tree.list(at)),
    writeFile: (lease, path, content) => this.change(lease, `write ${path}`, (tree) => tree.write(treePath(path), content)),
    appendFile: (lease, path, content) => this.change(lease, `append to ${path}`, (tree) => tree.append(treePath(path), content)),
    mkdir: (lease, path, recursive) => this.change(lease, `make ${path}`, (tree) => tree.makeDirectory(treePath(path), recursive)),
    rm: (lease, path, how) => this.change(lease, `remove ${path}`, (tree) => tree.remove(treePath(path), how)),
    rename: (lease, src, dest) => this.change(lease, `rename ${src} to ${dest}`, (tree) => tree.rename(treePath(src), treePath(dest))),
  };

  readFile(sessionId: string, path: string): Promise<string> {
    return promised(() => this.direct.readFile(sessionId, path));
  }

  exists(sessionId: string, path: string): Promise<boolean> {
    return promised(() => this.direct.exists(sessionId, path));
  }

  stat(sessionId: string, path: string): Promise<FileStat> {
    return promised(() => this.direct.stat(sessionId, path));
  }

  readdir(sessionId: string, path: string): Promise<FileEntry[]> {
    return promised(() => this.direct.readdir(sessionId, path));
  }

  writeFile(lease: Lease, path: string, content: string): Promise<void> {
    return promised(() => this.direct.writeFile(lease, path, content));
  }

  appendFile(lease: Lease, path: string, content: string): Promise<void> {
    return promised(() => this.direct.appendFile(lease, path, content));
  }

  mkdir(lease: Lease, path: string, recursive: boolean): Promise<void> {
    return promised(() => this.direct.mkdir(lease, path, recursive));
  }

  rm(lease: Lease, path: string, how: { readonly recursive: boolean; readonly force: boolean }): Promise<void> {
    return promised(() => this.direct.rm(lease, path, how));
  }

  rename(lease: Lease, src: string, dest: string): Promise<void> {
    return promised(() => this.direct.rename(lease, src, dest));
  }

  size(sessionId: string): Promise<number> {
    return this.inOrder([sessionId], 'measure', () => {
      const session = this.find(sessionId);
      return session ? bytesOf(session) : 0;
    });
  }

  copy(from: string, to: Lease, owner: string): Promise<void> {
    return this.inOrder([from, to.sessionId], 'copy', async () => {
      const source = this.find(from);
      if (!source) throw new FileFault('ENOENT', 'copy: there is no such session');
      const before = this.find(to.sessionId);
      if (before && outdated(before, to)) throw stale();
      if (before && !isEmpty(before)) throw new FileFault('EEXIST', 'copy: the session that it would be has files already');
      await this.fenceNow(to.sessionId, to.epoch, owner);
      const copy = this.find(to.sessionId)!;
      try {
        await this.usage.pending(owner);
        this.usage.admit(copy, bytesOf(source));
        await this.make(copy, await copy.tree.copyOf(source.tree));
      } catch (error) {
        if (!before) await this.wipeNow(to.sessionId);
        throw error;
      }
    });
  }

  wipe(sessionId: string): Promise<void> {
    return this.inOrder([sessionId], 'wipe', () => this.wipeNow(sessionId));
  }

  /** Resolves when everything that was asked for before is done. */
  async close(): Promise<void> {
    this.closed = true;
    await this.order.ended();
    await this.swept;
    this.open.clear();
    this.histories.close();
  }

  private read<T>(sessionId: string, path: string, verb: string, look: (tree: SessionTree, at: string) => Soon<T>): Soon<T> {
    const what = `${verb} ${path}`;
    return this.soon(sessionId, what, () => {
      const at = treePath(path);
      const session = this.find(sessionId);
      if (!session) throw new FileFault('ENOENT', `${what}: there is no such session`);
      return look(session.tree, at);
    });
  }

  /** A change under a lease: looked at, held against the quotas, made and counted, nothing of it twice. */
  private change(lease: Lease, what: string, plan: (tree: SessionTree) => Change): Soon<void> {
    return this.soon(lease.sessionId, what, () => {
      const session = this.find(lease.sessionId);
      if (!session || outdated(session, lease)) throw stale();
      const change = plan(session.tree);
      const pending = change.growth > 0 ? this.usage.pending(session.owner) : undefined;
      return pending ? pending.then(() => this.make(session, change)) : this.make(session, change);
    });
  }

  private make(session: OpenSession, change: Change): Soon<void> {
    this.usage.admit(session, change.growth);
    const tidying = change.make();
    this.usage.add(session, change.growth);
    return tidying;
  }

  private async fenceNow(sessionId: string, epoch: number, owner: string): Promise<void> {
    if (!Number.isSafeInteger(epoch)) throw new FileFault('EINVAL', 'fence: an epoch is a whole number');
    const session = this.find(sessionId);
    if (session?.epoch !== undefined && (epoch < session.epoch || (epoch === session.epoch && owner === session.owner))) return;
    const name = session?.name ?? directoryName(sessionId);
    // The note first: a user's sessions are counted by their notes.
    if (session?.owner !== owner) this.places.make(name, owner);
    const directory = this.places.of(name);
    if (session?.owner === owner) {
      await replaceLease(directory, { epoch, owner });
    } else {
      // At once, for whose a session is on the disk and whose it is in the count must not differ.
      storeLease(directory, { epoch, owner });
      if (session) this.pass(session, owner);
      else this.usage.join(this.find(sessionId)!);
    }
    if (session) session.epoch = epoch;
  }

  /** A session becomes its next owner's, with what it holds. */
  private pass(session: OpenSession, owner: string): void {
    this.usage.leave(session);
    this.places.unnote(session.name, session.owner);
    session.owner = owner;
    this.usage.join(session);
  }

  private async wipeNow(sessionId: string): Promise<void> {
    const session = this.find(sessionId);
    const name = directoryName(sessionId);
    if (session) this.usage.leave(session);
    let aside: string | undefined;
    session?.tree.letGo();
    try {
      aside = this.places.takeAway(name);
    } catch (error) {
      if (session) this.usage.join(session);
      throw error;
    }
    this.open.delete(sessionId);
    if (session) this.places.unnote(name, session.owner);
    if (aside !== undefined) await remove(aside);
  }

  /** Opens a session if it is not open; undefined for one that was never fenced. */
  private find(sessionId: string): OpenSession | undefined {
    const known = this.open.get(sessionId);
    if (known) {
      this.open.delete(sessionId);
      this.open.set(sessionId, known);
      return known;
    }
    const name = directoryName(sessionId);
    const directory = this.places.of(name);
    const lease = readLease(directory);
    if (lease === 'none') return undefined;
    const tree = new SessionTree(directory, this.histories);
    tree.open();
    const session = lease === 'unreadable'
      ? new OpenSession(sessionId, name, tree, undefined, '')
      : new OpenSession(sessionId, name, tree, lease.epoch, lease.owner);
    this.open.set(sessionId, session);
    this.closeOldest();
    return session;
  }

  private closeOldest(): void {
    if (this.open.size <= OPEN_SESSIONS) return;
    for (const sessionId of this.open.keys()) {
      if (this.open.size <= OPEN_SESSIONS) return;
      if (!this.order.isIdle(sessionId)) continue;
      this.open.get(sessionId)!.tree.letGo();
      this.open.delete(sessionId);
    }
  }

  /** Bytes of a session's files if it is this owner's. Looks only: the session may have a call under way. */
  private countFor(name: string, owner: string): number | undefined {
    const directory = this.places.of(name);
    const lease = readLease(directory);
    if (typeof lease === 'string' || lease.owner !== owner) return undefined;
    return new SessionTree(directory, this.histories).count();
  }

  private inOrder<T>(sessionIds: readonly string[], what: string, call: () => Soon<T>): Promise<T> {
    return promised(() => this.soonOf(sessionIds, what, call));
  }

  private soon<T>(sessionId: string, what: string, call: () => Soon<T>): Soon<T> {
    return this.soonOf([sessionId], what, call);
  }

  /** @throws FileFault at once, for what was carried out at once */
  private soonOf<T>(sessionIds: readonly string[], what: string, call: () => Soon<T>): Soon<T> {
    if (this.closed) throw new FileFault('EIO', `${what}: the store is closed`);
    let result: Soon<T>;
    try {
      result = this.order.soon(sessionIds, call);
    } catch (error) {
      throw faultOf(error, what);
    }
    return result instanceof Promise ? result.catch((error: unknown) => Promise.reject(faultOf(error, what))) : result;
  }
}

/** Without a fence nobody may write: what was wiped stays away, whoever goes on writing. */
function outdated(session: OpenSession, lease: Lease): boolean {
  return session.epoch === undefined || lease.epoch < session.epoch;
}

function stale(): FileFault {
  return new FileFault('ESTALE', 'the session has moved to another server: this one may not write it any more');
}

function isEmpty(session: OpenSession): boolean {
  return session.tree.list('').length === 0;
}
