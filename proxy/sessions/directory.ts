/**
 * The directory: every session Skyport knows, its owner and its binding. Ownership and binding are
 * in the registry before a client hears of them; times and counts follow within a second or so.
 */
import type { Registry, SessionRecord } from '../store/registry.js';
import type { Lease, SessionFiles } from '../store/session-files.js';
import { Journal } from './journal.js';
import { Session, type SessionEvents } from './session.js';

export class Directory {
  private readonly sessions = new Map<string, Session>();
  private readonly owners = new Map<string, Set<Session>>();
  /** Per backend: sessions with an attachment, those that the server has loaded, those with an open turn. */
  private readonly load = new Map<string, Load>();
  private readonly dirty = new Set<Session>();
  /** Ids whose session is being wiped from its server: nobody has them until that is done. */
  private readonly wiping = new Map<string, Promise<void>>();
  private readonly departed = new Map<string, { session: Session; at: number }>();
  private readonly sessionEvents: SessionEvents;

  /**
   * @param observer is told about turns and changes after the directory has counted them
   * @param failed is told when the registry refuses a write that nobody waits for
   * @param wipe deletes a session from its server; false when that could not be done
   * @param others the registry again, where other Skyports use it, too
   * @param files where the sessions' state is kept, if Skyport keeps it: each binding is fenced there before it is used
   */
  constructor(
    private readonly registry: Registry,
    observer: SessionEvents,
    private readonly failed: (operation: string, error: unknown) => void,
    private readonly wipe: (session: Session) => Promise<boolean> = () => Promise.resolve(true),
    private readonly files?: SessionFiles,
    private readonly others?: Others,
  ) {
    this.sessionEvents = {
      turnStarted: (session) => {
        // A send that was on its way while its session was deleted: nobody counts or stores that again.
        if (session.deleted) return;
        this.loadOf(placeOf(session)).busy.add(session);
        this.dirty.add(session);
        // From its first turn on a server has the session on its disk: that must not be forgotten.
        if (session.turns === 1) this.save(session);
        observer.turnStarted(session);
      },
      turnEnded: (session, outcome, ms) => {
        // One that was not counted when it began.
        if (!this.loadOf(placeOf(session)).busy.delete(session)) return;
        this.dirty.add(session);
        observer.turnEnded(session, outcome, ms);
      },
      changed: (session) => {
        const { attached, loaded } = this.loadOf(placeOf(session));
        set(attached, session, !session.deleted && (session.attachments.length > 0 || session.creating));
        set(loaded, session, !session.deleted && session.loaded);
        observer.changed(session);
      },
      unloaded: (session) => {
        if (session.turns === 0 && !session.used && !session.creating && !session.deleted) void this.forget(session);
        observer.unloaded(session);
      },
      interrupted: (session) => observer.interrupted?.(session) ?? false,
    };
    for (const record of registry.load()) this.know(record);
  }

  get size(): number {
    return this.sessions.size;
  }

  get(id: string): Session | undefined {
    return this.sessions.get(id);
  }

  /** As `get`, and for a few seconds also what was deleted: the last news of a session come late. */
  remembered(id: string): Session | undefined {
    return this.sessions.get(id) ?? this.departed.get(id)?.session;
  }

  all(): IterableIterator<Session> {
    return this.sessions.values();
  }

  ownedBy(owner: string): ReadonlySet<Session> {
    return this.owners.get(owner) ?? NONE;
  }

  loaded(backend: string): number {
    return this.load.get(backend)?.loaded.size ?? 0;
  }

  /** The sessions that a backend has in memory. */
  loadedOn(backend: string): ReadonlySet<Session> {
    return this.load.get(backend)?.loaded ?? NONE;
  }

  turnsOpen(backend: string): number {
    return this.load.get(backend)?.busy.size ?? 0;
  }

  /** Sessions with attachments, over all backends. */
  *live(): IterableIterator<Session> {
    for (const { attached } of this.load.values()) yield* attached;
  }

  /**
   * Records a new session's owner and binding: in memory at once, so that nobody else can take the
   * id; durable when the promise resolves.
   * @throws when the registry refuses the write; the session is forgotten again
   */
  async register(id: string, owner: string, backend: string, creating: boolean): Promise<Session> {
    const now = Date.now();
    const record = { id, owner, backend, epoch: 1, createdAt: now, usedAt: now, turns: 0, holder: this.others?.self };
    const session = new Session(record, this.sessionEvents);
    session.creating = creating;
    this.index(session);
    session.changed();
    try {
      if (!this.others) await this.registry.put(session.record());
      else if (!(await this.others.create(session.record()))) throw new IdTaken(id);
      // Something may have been left under this id by a removal that failed.
      if (creating) await this.files?.wipe(id);
      await this.files?.fence(id, session.epoch, owner);
    } catch (error) {
      this.drop(session);
      throw error;
    }
    return session;
  }

  /**
   * Binds a session to another backend, or to another life of the same one. From the first moment on
   * whoever had it cannot write to it any more; durable when the promise resolves.
   * @throws when the store refuses the write
   */
  async rebind(session: Session, backend: string): Promise<void> {
    const before = this.load.get(placeOf(session));
    const busy = before?.busy.delete(session) === true;
    before?.loaded.delete(session);
    before?.attached.delete(session);
    const { epoch } = session;
    session.backend = backend;
    session.holder = this.others?.self ?? '';
    session.foreign = false;
    session.epoch++;
    if (busy) this.loadOf(placeOf(session)).busy.add(session);
    session.changed();
    if (!this.others) await this.registry.put(session.record());
    else if (!(await this.others.claim(session.record(), epoch))) await this.superseded(session);
    await this.files?.fence(session.id, session.epoch, session.owner);
  }

  /** Another Skyport has taken it first. */
  private async superseded(session: Session): Promise<never> {
    const record = await this.others?.find(session.id);
    if (record) this.follow(session, record);
    throw new Error(`session ${session.id} was moved by another Skyport`);
  }

  /** Looks for a session that another Skyport may have made a moment ago. @throws when the registry cannot be asked */
  async learn(id: string): Promise<Session | undefined> {
    const known = this.sessions.get(id);
    if (known || !this.others) return known;
    const record = await this.others.find(id);
    if (record && !this.sessions.has(id)) this.know(record);
    return this.sessions.get(id);
  }

  /**
   * Another Skyport has changed a session, or removed it.
   * @returns the session, when it was this Skyport's and is not any more
   */
  told(id: string, record: SessionRecord | undefined): Session | undefined {
    const session = this.sessions.get(id);
    if (!session) {
      if (record) this.know(record);
      return undefined;
    }
    if (record && record.epoch < session.epoch) return undefined;
    const wasOurs = session.holder === this.others?.self;
    if (record) this.follow(session, record);
    else this.drop(session);
    return wasOurs && session.holder !== this.others?.self || !record ? session : undefined;
  }

  private follow(session: Session, record: SessionRecord): void {
    const before = this.load.get(placeOf(session));
    const busy = before?.busy.delete(session) === true;
    before?.loaded.delete(session);
    before?.attached.delete(session);
    session.told(record);
    session.foreign = !this.holds(session);
    if (busy) this.loadOf(placeOf(session)).busy.add(session);
    session.changed();
  }

  /** Whether this Skyport serves the session, as far as it knows. */
  holds(session: Session): boolean {
    return !this.others || session.holder === this.others.self;
  }

  /**
   * Writes what has changed of a session, durably when the promise resolves.
   * @throws when the registry refuses the write
   */
  async keep(session: Session): Promise<void> {
    if (!session.deleted) await this.registry.put(session.record());
  }

  /** The session was deleted, or never came to be. */
  remove(session: Session): Promise<void> {
    if (!session.deleted) this.departed.set(session.id, { session, at: Date.now() });
    this.drop(session);
    const removed = this.erase(session.id);
    if (!this.files) return removed;
    // Whoever takes the id next must not find what the last one left.
    this.wiping.set(session.id, removed.catch(() => undefined).finally(() => this.wiping.delete(session.id)));
    return removed;
  }

  /** The files first: one that is in the registry without any can be deleted again, the reverse would stay for ever. */
  private async erase(id: string): Promise<void> {
    await this.files?.wipe(id);
    await this.registry.remove(id);
  }

  /** The lease of a backend on a session; undefined when the session is not bound to it. */
  leaseOf(sessionId: string, { name }: { readonly name: string }): Lease | undefined {
    const session = this.sessions.get(sessionId);
    return session?.backend === name && this.holds(session) ? { sessionId, epoch: session.epoch } : undefined;
  }

  /** Resolves when the id can be had again, or its session is known again; undefined when nothing is under way. */
  wiped(id: string): Promise<void> | undefined {
    return this.wiping.get(id);
  }

  touched(session: Session): void {
    session.usedAt = Date.now();
    // What another Skyport serves it keeps count of itself.
    if (this.holds(session)) this.dirty.add(session);
  }

  /**
   * Janitor: writes the times and counts that changed.
   * @throws when the registry refuses a write; what was not written is tried again the next time
   */
  async flush(): Promise<void> {
    for (const [id, { at }] of this.departed) {
      if (Date.now() - at < REMEMBERED) break;
      this.departed.delete(id);
    }
    const sessions = [...this.dirty].filter((session) => !session.deleted);
    this.dirty.clear();
    await Promise.all(sessions.map((session) => this.write(session)));
  }

  private async write(session: Session): Promise<void> {
    try {
      await this.registry.put(session.record());
    } catch (error) {
      if (!session.deleted) this.dirty.add(session);
      throw error;
    }
  }

  private save(session: Session): void {
    this.registry.put(session.record()).catch((error: unknown) => this.failed('put', error));
  }

  /**
   * Janitor: deletes sessions that nobody has attached and nobody has used since `before`, from their
   * server and from the registry. One whose server cannot be asked now is tried again the next time.
   * @param most at one time, so that no server is flooded
   * @param among which of all
   * @returns those that are gone now
   */
  async expire(before: number, most: number, among: Iterable<Session> = this.sessions.values()): Promise<Session[]> {
    const expired: Session[] = [];
    for (const session of among) {
      if (isUnused(session, before) && !session.deleted && this.holds(session)) expired.push(session);
      if (expired.length === most) break;
    }
    await Promise.all(expired.map((session) => this.forget(session)));
    return expired.filter((session) => !this.sessions.has(session.id));
  }

  /**
   * Created, never used, and left: no list shows it, so its owner would never delete it. A server has a
   * directory of it all the same, with the owner's paths in it, and gives that to whoever creates
   * the id again (measured, runtime 1.0.85): the id is free when the directory is gone.
   */
  private forget(session: Session): Promise<void> {
    this.drop(session);
    const wiping = this.wipe(session)
      .then(async (wiped) => (wiped ? this.erase(session.id) : this.know(session.record())))
      .catch((error: unknown) => {
        this.know(session.record());
        this.failed('remove', error);
      })
      .finally(() => this.wiping.delete(session.id));
    this.wiping.set(session.id, wiping);
    return wiping;
  }

  /** A session of the registry: what was done on it is not known any more. */
  private know(record: SessionRecord): void {
    const session = new Session(record, this.sessionEvents);
    session.foreign = !this.holds(session);
    session.used = true;
    this.index(session);
  }

  private index(session: Session): void {
    // What a dead server has left is completed only where its files can be read.
    if (this.files) session.journal = new Journal();
    this.sessions.set(session.id, session);
    let owned = this.owners.get(session.owner);
    if (!owned) this.owners.set(session.owner, (owned = new Set()));
    owned.add(session);
  }

  private drop(session: Session): void {
    session.deleted = true;
    session.turn.end('client_gone');
    if (this.sessions.get(session.id) === session) this.sessions.delete(session.id);
    const owned = this.owners.get(session.owner);
    owned?.delete(session);
    if (owned?.size === 0) this.owners.delete(session.owner);
    const load = this.load.get(placeOf(session));
    load?.attached.delete(session);
    load?.loaded.delete(session);
    load?.busy.delete(session);
    this.dirty.delete(session);
  }

  private loadOf(backend: string): Load {
    let load = this.load.get(backend);
    if (!load) this.load.set(backend, (load = { attached: new Set(), loaded: new Set(), busy: new Set() }));
    return load;
  }
}

/** A backend of another Skyport may have the name of one of ours. */
function placeOf({ foreign, holder, backend }: Session): string {
  return foreign ? `skyport:${holder}` : backend;
}

/** What a directory needs of the registry where other Skyports use it, too. */
export interface Others {
  /** This Skyport's instance. */
  readonly self: string;
  /** @returns false when the id is taken */
  create(record: SessionRecord): Promise<boolean>;
  /** @returns false when the record has another epoch by now */
  claim(record: SessionRecord, fromEpoch: number): Promise<boolean>;
  find(id: string): Promise<SessionRecord | undefined>;
}

/** Another Skyport has given the id away a moment ago. */
export class IdTaken extends Error {
  constructor(readonly id: string) {
    super(`session ${id} is there already`);
  }
}

/** Nobody has it attached, and nobody has used it since `before`, milliseconds since the epoch. */
export function isUnused(session: Session, before: number): boolean {
  return session.usedAt < before && session.attachments.length === 0 && !session.creating;
}

/** Milliseconds that a deleted session is remembered. */
const REMEMBERED = 5_000;

const NONE: ReadonlySet<Session> = new Set();

interface Load {
  readonly attached: Set<Session>;
  readonly loaded: Set<Session>;
  readonly busy: Set<Session>;
}

function set(sessions: Set<Session>, session: Session, member: boolean): void {
  if (member) sessions.add(session);
  else sessions.delete(session);
}
