/**
 * Places on the backends: at most `sessions.max_active_per_backend` sessions are loaded on each. When
 * all are taken, the one that was used longest ago and is idle is put to sleep and its place given
 * away; when none is idle, the newcomer waits in line, where owners take turns.
 */
import { refuse, type Refusal } from '../protocol/errors.js';
import type { Directory } from './directory.js';
import { hibernate, isQuiet } from './hibernation.js';
import { OwnersLine } from './owners-line.js';
import type { Session } from './session.js';

/** Milliseconds that a session waits for a place before its call is refused. */
const PATIENCE = 60_000;

/** Milliseconds after which the first in line looks again, whatever it was told. */
const LOOK_AGAIN = 250;

/** Sessions that one look puts to sleep for being idle for long. */
const STEP = 20;

export class Places {
  /** Sessions that have been given a place and are not loaded yet, by backend. */
  private readonly reserved = new Map<string, Set<Session>>();
  /** By backend: one looks for a place at a time. */
  private readonly lines = new Map<string, OwnersLine>();
  private readonly lookers = new Set<() => void>();

  /**
   * @param limit per backend; undefined for none
   * @param slept is told of each session that was put to sleep
   */
  constructor(
    private readonly directory: Directory,
    private readonly limit: () => number | undefined,
    private readonly slept: (session: Session, reason: string) => void,
  ) {}

  /**
   * Waits for a place on the session's backend.
   * @returns what gives the reservation back; to be called when the session is loaded, or will not be
   */
  async take(session: Session): Promise<(() => void) | Refusal> {
    if (this.limit() === undefined || session.foreign || session.attachments.some((a) => a.live)) return () => undefined;
    const { backend } = session;
    const deadline = Date.now() + PATIENCE;
    let line = this.lines.get(backend);
    if (!line) this.lines.set(backend, (line = new OwnersLine(() => this.lines.delete(backend))));
    return line.run(session.owner, () => this.find(backend, session, deadline));
  }

  /** Whether the session could be loaded on this backend without another one having to go. */
  room(backend: string, session: Session): boolean {
    const limit = this.limit();
    return limit === undefined || this.reservedOn(backend).has(session) || this.taken(backend) < limit;
  }

  /** Something has ended: who looks for a place looks again. */
  tell(): void {
    for (const looker of [...this.lookers]) looker();
  }

  /** Janitor: puts to sleep what was not used for `idleMs`, a few at a time. */
  async sweep(now: number, idleMs: number): Promise<void> {
    const idle: Session[] = [];
    for (const session of this.directory.live()) {
      if (now - session.seenAt > idleMs && isQuiet(session)) idle.push(session);
      if (idle.length === STEP) break;
    }
    for (const session of idle) if (await hibernate(session)) this.slept(session, 'idle_timeout');
  }

  private async find(backend: string, session: Session, deadline: number): Promise<(() => void) | Refusal> {
    const reserved = this.reservedOn(backend);
    for (;;) {
      const limit = this.limit();
      if (limit === undefined || reserved.has(session) || this.taken(backend) < limit) break;
      if (await this.makeRoom(backend)) continue;
      if (Date.now() >= deadline) return refuse('SKYPORT_BACKEND_FULL');
      await this.change();
    }
    reserved.add(session);
    return () => {
      reserved.delete(session);
      this.tell();
    };
  }

  /** Loaded, about to be, or still being unloaded. */
  private taken(backend: string): number {
    let taken = 0;
    for (const session of this.directory.loadedOn(backend)) if (session.resident) taken++;
    for (const session of this.reservedOn(backend)) if (!session.resident) taken++;
    return taken;
  }

  private async makeRoom(backend: string): Promise<boolean> {
    const candidates = [...this.directory.loadedOn(backend)].filter(isQuiet).sort((a, b) => a.seenAt - b.seenAt);
    for (const session of candidates) {
      if (!(await hibernate(session))) continue;
      this.slept(session, 'max_active_per_backend');
      return true;
    }
    return false;
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        clearTimeout(timer);
        this.lookers.delete(look);
        resolve();
      };
      const timer = setTimeout(look, LOOK_AGAIN);
      this.lookers.add(look);
    });
  }

  private reservedOn(backend: string): Set<Session> {
    let reserved = this.reserved.get(backend);
    if (!reserved) this.reserved.set(backend, (reserved = new Set()));
    return reserved;
  }
}
