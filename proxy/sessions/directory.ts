/**
 * The directory: every session Skyport knows, its owner and its binding. Ownership and binding are
 * in the registry before a client hears of them; times and counts follow within a second or so.
 */
import type { Registry, SessionRecord } from '../store/registry.js';
import type { Lease, SessionFiles } from '../store/session-files.js';
import { Departed } from './departed.js';
import { Journal } from './journal.js';
import { Loads } from './loads.js';
import { Owned } from './owned.js';
import { IdTaken, type Others } from './others.js';
import { isUnused, Session, type SessionEvents } from './session.js';

export class Directory {
  private readonly sessions = new Map<string, Session>();
  readonly owned = new Owned();
  private readonly loads = new Loads();
  private readonly dirty = new Set<Session>();
  /** Bound in the registry, and the files were not told: whoever had them might still write. */
  private readonly unfenced = new Set<Session>();
  /** Ids whose session is being wiped from its server: nobody has them until that is done. */
  private readonly wiping = new Map<string, Promise<void>>();
  private readonly departed = new Departed();
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
        this.loads.began(session);
        this.changedHere(session);
        // From its first turn on a server has the session on its disk: that must not be forgotten.
        if (session.turns === 1 && this.holds(session)) this.save(session);
        observer.turnStarted(session);
      },
      turnEnded: (session, outcome, ms) => {
        // One that was not counted when it began.
        if (!this.loads.ended(session)) return;
        this.changedHere(session);
        // Of one that another Skyport has, nobody here hears what of it is stored: what is a turn old is.
        if (session.foreign) session.journal?.forgetOld();
        observer.turnEnded(session, outcome, ms);
      },
      changed: (session) => {
        this.loads.changed(session);
        observer.changed(session);
      },
      unloaded: (session) => {
        const unused = session.turns === 0 && !session.used && !session.creating && !session.deleted && this.holds(session);
        if (unused) void this.forget(session);
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
    return this.sessions.get(id) ?? this.departed.get(id);
  }

  all(): IterableIterator<Session> {
    return this.sessions.values();
  }

  ownedBy(owner: string): ReadonlySet<Session> {
    return this.owned.by(owner);
  }

  loaded(backend: string): number {
    return this.loads.loaded(backend).size;
  }

  /** The sessions that a backend has in memory. */
  loadedOn(backend: string): ReadonlySet<Session> {
    return this.loads.loaded(backend);
  }

  turnsOpen(backend: string): number {
    return this.loads.turnsOpen(backend);
  }

  /** Sessions that their owners share; and some that they do not share any more. */
  shared(): ReadonlySet<Session> {
    return this.owned.shared;
  }

  /** With whom it is shared from now on. */
  reshare(session: Session, shares: Session['shares']): void {
    session.shares = shares;
    this.owned.look(session);
  }

  /** Sessions with attachments, over all backends. */
  live(): IterableIterator<Session> {
    return this.loads.live();
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
  async rebind(session: Session, backend: string, server?: number): Promise<void> {
    const before = session.record();
    this.loads.move(session, () => {
      session.backend = backend;
      session.server = server;
      session.holder = this.others?.self ?? '';
      session.foreign = false;
      session.epoch++;
    });
    session.changed();
    if (!this.others) await this.registry.put(session.record());
    else await this.claim(session, before);
    this.unfenced.add(session);
    await this.files?.fence(session.id, session.epoch, session.owner);
    this.unfenced.delete(session);
  }

  /** False when the last binding did not reach the files: it needs another one before it can be used. */
  isFenced(session: Session): boolean {
    return !this.unfenced.has(session);
  }

  private async claim(session: Session, before: SessionRecord): Promise<void> {
    const record = session.record();
    const claimed = await this.others!.claim(record, before.epoch).catch((error: unknown) => {
      // It is as it was, as far as is known; the next try finds out.
      if (session.epoch === record.epoch && !session.deleted) this.follow(session, before);
      throw error;
    });
    if (claimed) return;
    // Another Skyport has taken it first, or this one has by a claim whose answer was lost.
    await this.refresh(session.id);
    throw new Error(`session ${session.id} was moved meanwhile`);
  }

  /** Asks the registry how a session stands. @throws when it cannot be asked */
  async refresh(id: string): Promise<void> {
    const session = this.sessions.get(id);
    if (!session || !this.others) return;
    const { epoch } = session;
    const record = await this.others.find(id);
    if (session.deleted || session.epoch !== epoch) return;
    if (record) this.follow(session, record);
    else this.depart(session);
  }

  /**
   * Lets another Skyport have a session that nobody uses here: from now on it is the other's, which claims it.
   * @returns false when it is used after all. @throws when what has changed of it cannot be written
   */
  async cede(session: Session, to: string): Promise<boolean> {
    if (this.dirty.delete(session)) await this.write(session);
    if (session.deleted || session.attachments.length > 0 || session.creating) return false;
    this.follow(session, { ...session.record(), holder: to });
    return true;
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
   * @returns the session, when it has another holder than before, or is gone
   */
  told(id: string, record: SessionRecord | undefined): Session | undefined {
    const session = this.sessions.get(id);
    if (!session) {
      if (record) this.know(record);
      return undefined;
    }
    if (record && record.epoch < session.epoch) return undefined;
    const { holder } = session;
    if (record) this.follow(session, record);
    else this.depart(session);
    return session.holder !== holder || !record ? session : undefined;
  }

  /** It was deleted by another Skyport; its last news may still be on their way. */
  private depart(session: Session): void {
    this.departed.add(session);
    this.drop(session);
  }

  private follow(session: Session, record: SessionRecord): void {
    this.loads.move(session, () => {
      session.told(record);
      session.foreign = !this.holds(session);
    });
    this.owned.look(session);
    // Whether it was ever used, and how it stands, is its holder's to know.
    session.used ||= session.foreign;
    if (session.foreign) for (const own of [this.dirty, this.unfenced]) own.delete(session);
    session.changed();
  }

  /** As far as this Skyport knows. */
  holds(session: Session): boolean {
    return !this.others || session.holder === this.others.self;
  }

  /**
   * Writes what has changed of a session, durably when the promise resolves.
   * @throws when the registry refuses the write
   */
  async keep(session: Session): Promise<void> {
    if (!this.holds(session)) throw new Error(`session ${session.id} is held by another Skyport`);
    if (!session.deleted) await this.registry.put(session.record());
  }

  /** The session was deleted, or never came to be. */
  remove(session: Session): Promise<void> {
    if (!session.deleted) this.departed.add(session);
    this.drop(session);
    const removed = this.erase(session);
    if (!this.files) return removed;
    // Whoever takes the id next must not find what the last one left.
    this.wiping.set(session.id, removed.catch(() => undefined).finally(() => this.wiping.delete(session.id)));
    return removed;
  }

  /** The files first: one that is in the registry without any can be deleted again, the reverse would stay for ever. */
  private async erase(session: Session): Promise<void> {
    const { id, epoch } = session;
    // What another Skyport has taken meanwhile is not this one's to delete.
    if (this.others && !(await this.others.claim({ ...session.record(), epoch: epoch + 1 }, epoch))) {
      if (await this.others.find(id)) throw new Error(`session ${id} was moved meanwhile`);
      return;
    }
    await this.files?.wipe(id);
    await this.registry.remove(id);
  }

  /** The lease of a backend on a session; undefined when the session is not bound to it. */
  leaseOf(sessionId: string, { name, backend }: { readonly name: string; readonly backend: number }): Lease | undefined {
    const session = this.sessions.get(sessionId);
    if (session?.backend !== name || (session.server ?? backend) !== backend) return undefined;
    return this.holds(session) ? { sessionId, epoch: session.epoch } : undefined;
  }

  /** Resolves when the id can be had again, or its session is known again; undefined when nothing is under way. */
  wiped(id: string): Promise<void> | undefined {
    return this.wiping.get(id);
  }

  touched(session: Session): void {
    session.usedAt = Date.now();
    this.changedHere(session);
  }

  /** Its record is to be written; that of another Skyport's session is written there. */
  private changedHere(session: Session): void {
    if (this.holds(session)) this.dirty.add(session);
  }

  /**
   * Janitor: writes the times and counts that changed.
   * @throws when the registry refuses a write; what was not written is tried again the next time
   */
  async flush(): Promise<void> {
    this.departed.sweep(Date.now());
    const sessions = [...this.dirty].filter((session) => !session.deleted && this.holds(session));
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
      .then(async (wiped) => (wiped ? this.erase(session) : this.know(session.record())))
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
    this.owned.add(session);
  }

  private drop(session: Session): void {
    session.deleted = true;
    session.turn.end('client_gone');
    if (this.sessions.get(session.id) === session) this.sessions.delete(session.id);
    this.owned.delete(session);
    this.loads.drop(session);
    this.dirty.delete(session);
    this.unfenced.delete(session);
  }
}
