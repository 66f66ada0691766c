/**
 * Skyport as the file system of its servers' sessions: answers a CLI server's `sessionFs.*` requests
 * from the store, under the lease that the server has of the session.
 *
 *   request ──▶ lease? ──▶ path inside the session's tree? ──▶ SessionFiles ──▶ the runtime's result
 *                 │ no              │ no                                                 ▲
 *                 ▼                 └──▶ the server's own machine (machine.ts) ──────────┘
 *              refused
 *
 * Requests of a server are carried out in the order they are handed in: each one is with the store
 * before `answer` returns, and the store keeps the order of each session.
 */
import { parse } from 'yaml';
import { channels } from '../channels.js';
import { FileFault, type DirectFiles, type Lease, type SessionFiles } from '../store/session-files.js';
import { after, type Soon } from '../store/soon.js';
import type { BackendIdentity, Leases } from './leases.js';
import { Machine, type Shell } from './machine.js';
import { leadsTo, placeOf, STATE_PATH } from './paths.js';
import { EVENTS } from './reading.js';
import { content, DONE, failed, names, stat, typed, type FsError, type Operation, type Reply } from './results.js';

export interface StateEvents {
  /** What of an append to `/events.jsonl` goes into the history; the rest is there only because the session was moved. */
  strip?(sessionId: string, content: string): string;
  /** Content was added to a session's `/events.jsonl` and is stored. */
  onAppend?(sessionId: string, path: string, content: string): void;
  /** A session's `/events.jsonl` was written anew, moved or removed. */
  onReplace?(sessionId: string): void;
  /** A session's server could not do what it wanted: over quota, stale, or the store failed. */
  onFault?(sessionId: string, fault: StateFaultCode): void;
}

/** `not_bound`: the server has no lease of the session. The others are the store's. */
export type StateFaultCode = 'not_bound' | 'ESTALE' | 'EDQUOT' | 'EIO';

interface Params {
  readonly sessionId?: unknown;
  readonly path?: unknown;
  readonly content?: unknown;
  readonly recursive?: unknown;
  readonly force?: unknown;
  readonly src?: unknown;
  readonly dest?: unknown;
}

const OPERATIONS: ReadonlySet<string> = new Set<Operation>([
  'readFile', 'writeFile', 'appendFile', 'exists', 'stat', 'mkdir', 'readdir', 'readdirWithTypes', 'rm', 'rename',
]);

const PREFIX = 'sessionFs.';

/** Faults that were told of already, so that a server that insists does not fill the log. */
const MAX_TOLD = 10_000;

export class StateServer {
  readonly statePath = STATE_PATH;
  /** Requests since the start, and characters that servers have written. */
  calls = 0;
  written = 0;
  private readonly told = new Set<string>();
  private readonly files: DirectFiles;

  constructor(
    files: SessionFiles,
    private readonly leases: Leases,
    private readonly events: StateEvents = {},
  ) {
    this.files = files.direct ?? files;
  }

  /**
   * Carries a request out, or refuses it. Never throws or rejects.
   * @param method `sessionFs.…`
   * @param params as they came; not trusted
   * @param shell of the server that asks, for files that are its own
   */
  answer(from: BackendIdentity, method: string, params: unknown, shell: Shell): Soon<Reply> {
    this.calls++;
    const operation = method.slice(PREFIX.length);
    if (!method.startsWith(PREFIX) || !OPERATIONS.has(operation)) {
      // SQLite is not among the capabilities that Skyport claims (docs/decisions/0009).
      return { error: { code: -32601, message: `${method} is not served by this session file system` } };
    }
    const given = (typeof params === 'object' && params !== null ? params : {}) as Params;
    return this.run(from, operation as Operation, given, shell);
  }

  private run(from: BackendIdentity, operation: Operation, params: Params, shell: Shell): Soon<Reply> {
    const { sessionId } = params;
    if (typeof sessionId !== 'string') return failed(operation, unknown('sessionId is not a text'));
    const lease = this.leases.leaseOf(sessionId, from);
    if (!lease) {
      this.tell(from, sessionId, 'not_bound', `#${from.incarnation}`);
      return failed(operation, unknown(NOT_BOUND));
    }
    const refused = (error: unknown): Reply => failed(operation, this.errorOf(from, lease, error));
    try {
      const outcome = this.carryOut(lease, operation, params, shell);
      return outcome instanceof Promise ? outcome.then(replyOf, refused) : replyOf(outcome);
    } catch (error) {
      return refused(error);
    }
  }

  private carryOut(lease: Lease, operation: Operation, params: Params, shell: Shell): Soon<object | null> {
    const { files } = this;
    const { sessionId } = lease;
    if (operation === 'rename') return this.rename(lease, params, shell);
    const given = text(params.path, 'path');
    const path = placeOf(given);
    if ((path === EVENTS && operation === 'writeFile') || ((path === EVENTS || path === '/') && operation === 'rm')) this.events.onReplace?.(sessionId);
    if (path === undefined) return this.outside(sessionId, operation, given, params, shell);
    switch (operation) {
      case 'readFile':
        return after(files.readFile(sessionId, path), content);
      case 'exists':
        return after(files.exists(sessionId, path), (exists) => ({ exists }));
      case 'stat':
        return after(files.stat(sessionId, path), stat);
      case 'readdir':
        return after(files.readdir(sessionId, path), names);
      case 'readdirWithTypes':
        return after(files.readdir(sessionId, path), typed);
      case 'writeFile':
        return after(files.writeFile(lease, path, this.taken(params)), done);
      case 'appendFile':
        return this.append(lease, path, this.taken(params));
      case 'mkdir':
        return after(files.mkdir(lease, path, params.recursive === true), done);
      case 'rm':
        return after(files.rm(lease, path, { recursive: params.recursive === true, force: params.force === true }), done);
    }
  }

  private append(lease: Lease, path: string, given: string): Soon<null> {
    if (path !== EVENTS) return after(this.files.appendFile(lease, path, given), done);
    const added = this.events.strip?.(lease.sessionId, given) ?? given;
    if (added === '' && given !== '') return DONE;
    return after(this.files.appendFile(lease, path, added), () => {
      this.events.onAppend?.(lease.sessionId, path, added);
      return DONE;
    });
  }

  private rename(lease: Lease, params: Params, shell: Shell): Soon<null> {
    const [from, to] = [text(params.src, 'src'), text(params.dest, 'dest')];
    const [src, dest] = [placeOf(from), placeOf(to)];
    if (src === EVENTS || dest === EVENTS) this.events.onReplace?.(lease.sessionId);
    if (src !== undefined && dest !== undefined) return after(this.files.rename(lease, src, dest), done);
    if (src !== undefined || dest !== undefined) throw new FileFault('EINVAL', 'a file cannot be renamed into or out of the session\'s state');
    return new Machine(shell, lease.sessionId).rename(from, to).then(() => DONE);
  }

  /**
   * When a session is resumed, its server asks whether the working directory is there, and would go on in
   * another one if it were not (measured, runtime 1.0.85); it cannot be asked itself at that moment.
   */
  private async outside(sessionId: string, operation: Operation, path: string, params: Params, shell: Shell): Promise<object | null> {
    if ((operation === 'stat' || operation === 'exists') && leadsTo(path, await this.workingDirectoryOf(sessionId))) {
      return operation === 'exists' ? { exists: true } : stat({ isFile: false, isDirectory: true, size: 0, mtime: 0, birthtime: 0 });
    }
    const machine = new Machine(shell, sessionId);
    switch (operation) {
      case 'readFile':
        return content(await machine.read(path));
      case 'exists':
        return { exists: await machine.exists(path) };
      case 'stat':
        return stat(await machine.stat(path));
      case 'readdir':
        return names(await machine.list(path));
      case 'readdirWithTypes':
        return typed(await machine.list(path));
      case 'writeFile':
      case 'appendFile':
        await machine.write(path, text(params.content, 'content'), operation === 'appendFile');
        return DONE;
      case 'mkdir':
        await machine.mkdir(path, params.recursive === true);
        return DONE;
      case 'rm':
        await machine.remove(path, { recursive: params.recursive === true, force: params.force === true });
        return DONE;
      default:
        throw new FileFault('EINVAL', 'no such call');
    }
  }

  /** As the runtime has written it down: `cwd` in workspace.yaml. */
  private async workingDirectoryOf(sessionId: string): Promise<string | undefined> {
    try {
      const workspace = parse(await this.files.readFile(sessionId, '/workspace.yaml'), { logLevel: 'silent' }) as { cwd?: unknown } | null;
      return typeof workspace?.cwd === 'string' ? workspace.cwd : undefined;
    } catch {
      return undefined;
    }
  }

  private taken(params: Params): string {
    const added = text(params.content, 'content');
    this.written += added.length;
    return added;
  }

  private errorOf(from: BackendIdentity, lease: Lease, error: unknown): FsError {
    if (!(error instanceof FileFault)) {
      channels.bug.publish({ where: 'state/server', error });
      return unknown('The session store failed');
    }
    const { code } = error;
    if (code === 'ENOENT') return { code, message: error.message };
    if (code === 'ESTALE' || code === 'EDQUOT' || code === 'EIO') this.tell(from, lease.sessionId, code, `@${lease.epoch}`, error.message);
    // What the operating system says of its own paths is for the log, not for the server.
    return unknown(code === 'EIO' ? 'EIO: the session store failed' : `${code}: ${error.message}`);
  }

  /** Counts a fault; the log hears of it once for each session and lease. */
  private tell(from: BackendIdentity, sessionId: string, code: StateFaultCode, lease: string, detail?: string): void {
    const key = `${sessionId} ${from.name} ${code} ${lease}`;
    const first = !this.told.has(key);
    if (first) {
      if (this.told.size >= MAX_TOLD) this.told.delete(this.told.values().next().value!);
      this.told.add(key);
    }
    channels.stateFault.publish({ sessionId, backend: from.name, code, detail, first });
    this.events.onFault?.(sessionId, code);
  }
}

function done(): null {
  return DONE;
}

function replyOf(result: object | null): Reply {
  return { result };
}

const NOT_BOUND = 'the session is not bound to this server: its files are another one\'s, or nobody\'s';

function unknown(message: string): FsError {
  return { code: 'UNKNOWN', message };
}

function text(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new FileFault('EINVAL', `${name} is not a text`);
  return value;
}
