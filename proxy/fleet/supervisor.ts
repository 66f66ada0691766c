/**
 * The managed servers of this Skyport: `managed-1` to `managed-<count>`.
 *
 * The fleet knows processes only. It neither probes nor drains: who holds sessions on a server says
 * when it hangs (`recycle`) and when it may go (`retire`).
 */
import { fleetId } from './marker.js';
import { Member, type MemberEvents, type MemberHost, type MemberOptions, type MemberStatus } from './member.js';
import { endOrphans } from './orphans.js';
import { signalGroup } from './processes.js';

export interface FleetOptions extends MemberOptions {
  readonly count: number;
}

export interface FleetEvents extends MemberEvents {
  /** The server is one too many now: drain it, then call `retire`. Without this event it is retired at once. */
  onRemoved?(name: string): void;
  /** An earlier Skyport on this directory had left processes running; they have been killed. */
  onOrphansEnded?(processes: number): void;
}

export class Fleet {
  readonly #events: FleetEvents;
  readonly #random: () => number;
  readonly #members = new Map<string, Member>();
  readonly #retiring = new Map<string, Promise<void>>();
  #options: FleetOptions;
  #host: MemberHost | undefined;
  #running = false;
  #stopped: Promise<void> | undefined;
  #orphansEnded: Promise<void> = Promise.resolve();

  /** @param random uniform in [0, 1), for the jitter of the restart back-off */
  constructor(options: FleetOptions, events: FleetEvents, random: () => number = Math.random) {
    this.#options = options;
    this.#events = events;
    this.#random = random;
  }

  /**
   * Kills what an earlier Skyport on this directory left running, then starts all servers at once.
   * @throws the file system's error when the directory cannot be written
   */
  start(): void {
    if (this.#host !== undefined || this.#stopped !== undefined) return;
    const id = fleetId(this.#options.directory);
    this.#host = this.#hostOf(id);
    this.#running = true;
    this.#orphansEnded = endOrphans(id).then((killed) => {
      if (killed > 0) this.#events.onOrphansEnded?.(killed);
    });
    this.#fill();
  }

  /**
   * New options. A new count is acted on now, the highest numbers leave first; the rest applies from
   * the next start of each server on, so that a reload ends nobody's session. `directory` stays.
   */
  update(options: FleetOptions): void {
    this.#options = { ...options, directory: this.#options.directory };
    if (!this.#running) return;
    for (const member of [...this.#members.values()].sort((a, b) => numberOf(b.name) - numberOf(a.name))) {
      const wanted = this.#wants(member.name);
      if (wanted && member.state === 'leaving') member.keep();
      if (!wanted && member.state !== 'leaving' && member.state !== 'stopping') this.#dismiss(member);
    }
    this.#fill();
  }

  /** Kills a server that hangs, with its process group, and starts it again after its back-off. */
  recycle(name: string, reason: string): void {
    this.#members.get(name)?.recycle(reason);
  }

  /**
   * Ends a server, SIGTERM first. If the name is wanted again by then, a new server takes it.
   * @returns when the old one and all that it started are gone
   */
  retire(name: string): Promise<void> {
    const member = this.#members.get(name);
    if (member === undefined) return Promise.resolve();
    const underWay = this.#retiring.get(name);
    if (underWay !== undefined) return underWay;
    const done = member.end().then(() => {
      this.#members.delete(name);
      this.#retiring.delete(name);
      if (this.#wants(name)) this.#fill();
    });
    this.#retiring.set(name, done);
    return done;
  }

  /** Ends all servers. The fleet cannot be started again. */
  stop(): Promise<void> {
    this.#running = false;
    this.#stopped ??= this.#orphansEnded.then(async () => {
      await Promise.all([...this.#members.keys()].map((name) => this.retire(name)));
    });
    return this.#stopped;
  }

  /**
   * For a process that is about to exit: kills the process groups of all servers before it returns.
   * What their tools started in sessions of their own is left to the next start on this directory.
   */
  killNow(): void {
    this.#running = false;
    for (const member of this.#members.values()) {
      const { pid } = member.status();
      if (pid !== undefined) signalGroup(pid, 'SIGKILL');
    }
  }

  list(): MemberStatus[] {
    return [...this.#members.values()]
      .sort((a, b) => numberOf(a.name) - numberOf(b.name))
      .map((member) => member.status());
  }

  #hostOf(id: string): MemberHost {
    const options = () => this.#options;
    return {
      id,
      get options() { return options(); },
      events: this.#events,
      random: this.#random,
      wants: (name) => this.#wants(name),
      left: (member) => { void this.retire(member.name); },
    };
  }

  #wants(name: string): boolean {
    return this.#running && numberOf(name) <= this.#options.count;
  }

  /** Starts every wanted server that does not exist yet. */
  #fill(): void {
    for (let number = 1; number <= this.#options.count; number++) {
      const name = `managed-${number}`;
      if (this.#members.has(name)) continue;
      const member = new Member(name, this.#host!);
      this.#members.set(name, member);
      // The orphan of an earlier server may still be writing to the files of this one.
      void this.#orphansEnded.then(() => member.launch());
    }
  }

  #dismiss(member: Member): void {
    member.dismiss();
    if (member.isReady && this.#events.onRemoved !== undefined) this.#events.onRemoved(member.name);
    else void this.retire(member.name);
  }
}

function numberOf(name: string): number {
  return Number(name.slice(name.lastIndexOf('-') + 1));
}
