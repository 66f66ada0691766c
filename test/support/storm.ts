/**
 * Servers that are killed, stopped and drained at random while sessions are at work, and what must hold
 * all the same. The order of the blows and what the sessions do come from a seed; when what meets what
 * does not.
 */
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { defineTool, type PermissionRequestResult } from '@github/copilot-sdk';
import { adminCall } from '../../proxy/admin/client.js';
import { faultsOf, type Sent } from './expected-history.js';
import { signalGroup } from './process-group.js';
import { Recording, type CopilotClient, type CopilotSession } from './sdk.js';
import type { Site } from './site.js';

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Milliseconds after which a turn counts as one that hangs. */
const HANGS = 90_000;

export interface Tally {
  turns: number;
  /** Turns that came to nothing, with an error and the end told. */
  lostTurns: number;
  /** Calls that were refused. */
  refused: number;
  kills: number;
  stops: number;
  drains: number;
}

/** One session at work until it is told to stop. */
class Worker {
  readonly sent: Sent[] = [];
  readonly faults: string[] = [];
  private session!: CopilotSession;
  private heard!: Recording;
  private readonly runs = new Map<string, number>();
  private step = 0;
  private cameBack = 0;

  constructor(
    readonly id: string,
    private readonly client: CopilotClient,
    private readonly site: Site,
    private readonly directory: string,
    private readonly random: () => number,
    private readonly tally: Tally,
    private readonly log: (line: string) => void,
  ) {}

  async run(goesOn: () => boolean): Promise<void> {
    await this.attach((config) => this.client.createSession({ ...config, sessionId: this.id }));
    // One that was never used is forgotten as soon as its client leaves it.
    await this.turn(['begin']);
    while (goesOn()) {
      await this.oneStep();
      await pause(this.random() * 150);
    }
    // Whatever the blows have left, it answers now.
    await this.turn(['are you there']);
    const last = this.heard.texts.at(-1) ?? '';
    if (!last.startsWith('answer ')) this.faults.push(`${this.id}: does not answer: ${last}`);
    await this.session.disconnect().catch(() => undefined);
  }

  /** Holds what was stored, and what the tools did, against what the client was told. */
  check(history: string): string[] {
    for (const [key, count] of this.runs) if (count > 1) this.faults.push(`${this.id}: tool ${key} was called ${count} times`);
    const made = this.file;
    const lines = existsSync(made) ? readFileSync(made, 'utf8').split('\n').filter((line) => line !== '') : [];
    for (const line of new Set(lines)) {
      const count = lines.filter((one) => one === line).length;
      if (count > 1) this.faults.push(`${this.id}: command ${line} was run ${count} times`);
    }
    return [...this.faults, ...faultsOf(this.id, history, this.sent, this.cameBack)];
  }

  private get file(): string {
    return path.join(this.directory, `${this.id}.txt`);
  }

  private refused(what: string, error: unknown): void {
    this.tally.refused++;
    this.log(`${this.id} ${what} refused: ${String(error)}`);
  }

  private async attach(how: (config: ReturnType<Site['session']>) => Promise<CopilotSession>): Promise<void> {
    const note = defineTool<{ key: string }>('note', {
      parameters: { type: 'object', properties: { key: { type: 'string' } } }, skipPermission: true,
      handler: async ({ key }) => {
        this.runs.set(key, (this.runs.get(key) ?? 0) + 1);
        await pause(this.random() * 300);
        return `noted ${key}`;
      },
    });
    const onPermissionRequest = async (): Promise<PermissionRequestResult> => {
      await pause(this.random() * 200);
      return this.random() < 0.1 ? { kind: 'reject' } : { kind: 'approve-once' };
    };
    const config = this.site.session({ streaming: true, tools: [note], onPermissionRequest, workingDirectory: this.directory });
    for (let tries = 1; ; tries++) {
      try {
        this.session = await how(config);
        this.heard = new Recording(this.session);
        return;
      } catch (error) {
        this.refused('attach', error);
        if (tries === 20) throw error;
        await pause(200);
      }
    }
  }

  private async oneStep(): Promise<void> {
    const key = `${this.id}-${++this.step}`;
    const bash = `[[tool:bash {"command":"echo ${key} >> ${this.id}.txt; sleep 0.${Math.floor(this.random() * 9)}","description":"note it"}]]`;
    const note = `[[tool:note {"key":"${key}"}]]`;
    const at = this.random();
    if (at < 0.2) await this.turn(['plain']);
    else if (at < 0.35) await this.turn([`[[stream:${2 + Math.floor(this.random() * 20)}]][[slow:40]]`]);
    else if (at < 0.5) await this.turn([bash]);
    else if (at < 0.65) await this.turn([note]);
    else if (at < 0.75) await this.turn([`[[together:1]] ${bash} ${note} ${note.replace(key, `${key}b`)}`]);
    else if (at < 0.85) await this.turn(['[[stream:4]][[slow:30]]', 'second', 'third']);
    else if (at < 0.9) await this.turn(['[[stream:40]][[slow:50]]'], this.random() * 600);
    else if (at < 0.95) await this.session.getEvents().catch((error: unknown) => this.refused('getEvents', error));
    else await this.comeBack();
  }

  private async comeBack(): Promise<void> {
    this.cameBack++;
    await this.session.disconnect().catch(() => undefined);
    await this.attach((config) => this.client.resumeSession(this.id, config));
  }

  /**
   * @param prompts are sent one after the other without waiting for the turn
   * @param abortAfter milliseconds
   */
  private async turn(prompts: readonly string[], abortAfter?: number): Promise<void> {
    this.tally.turns++;
    const before = { idles: this.heard.of('session.idle').length, errors: this.heard.of('session.error').length };
    const open = prompts.map((prompt): Sent => ({ text: `${prompt} #${this.sent.length + 1}.${this.random().toString(36).slice(2, 8)} of ${this.id}`, fate: 'open' }));
    const accepted: Sent[] = [];
    for (const message of open) {
      this.sent.push(message);
      try {
        await this.session.send({ prompt: message.text });
        accepted.push(message);
      } catch (error) {
        this.refused('send', error);
      }
    }
    if (accepted.length === 0) return;
    if (abortAfter !== undefined) {
      await pause(abortAfter);
      await this.session.abort().catch((error: unknown) => this.refused('abort', error));
    }
    await this.untilQuiet(before.idles, accepted);
    const lost = this.heard.of('session.error').slice(before.errors).some(({ data }) => data.errorType === 'backend_lost');
    if (lost) this.tally.lostTurns++;
    else if (abortAfter === undefined) for (const message of accepted) message.fate = 'accepted';
  }

  /** The end of the turn, and of those that were queued behind it. */
  private async untilQuiet(idles: number, accepted: readonly Sent[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => (timer = setTimeout(resolve, HANGS, 'late')));
    const over = await Promise.race([late, this.heard.until('session.idle', idles + 1)]);
    clearTimeout(timer);
    if (over === 'late') {
      const tail = this.heard.events.slice(-12).map(({ type }) => type).join(' ');
      this.faults.push(`${this.id}: hangs after ${accepted.map(({ text }) => text).join(', ')}: ${tail}`);
      throw new Error(this.faults.at(-1));
    }
    // Messages that a dead server had accepted may have turns of their own on the next one.
    for (let quiet = 0; quiet < 3; quiet++) {
      const count = this.heard.events.length;
      await pause(50);
      if (this.heard.events.length !== count) quiet = -1;
      if (quiet === 2 && !this.atRest) quiet = -1;
    }
  }

  private get atRest(): boolean {
    const last = this.heard.events.findLast(({ type }) => type === 'session.idle' || type === 'user.message' || type === 'assistant.turn_start');
    return last === undefined || last.type === 'session.idle';
  }
}

/** One server that blows fall on, static or managed. */
interface Target {
  readonly name: string;
  hit: boolean;
}

export class Storm {
  readonly tally: Tally = { turns: 0, lostTurns: 0, refused: 0, kills: 0, stops: 0, drains: 0 };
  private readonly targets: Target[];

  constructor(
    private readonly site: Site,
    private readonly random: () => number,
    names: readonly string[],
    private readonly log: (line: string) => void = () => undefined,
    /** Keeps a history for whoever looks into a fault. */
    private readonly keep: (id: string, history: string) => void = () => undefined,
  ) {
    this.targets = names.map((name) => ({ name, hit: false }));
  }

  /**
   * @param sessions how many work meanwhile, shared out among a few clients
   * @param pace milliseconds between two blows, on average
   * @returns everything that is wrong afterwards
   */
  async rage(blows: number, sessions: number, pace: number): Promise<string[]> {
    const directory = this.site.directory();
    const clients = Array.from({ length: 4 }, () => this.site.client());
    const workers = Array.from({ length: sessions }, (_, at) => {
      return new Worker(`s${at}`, clients[at % clients.length]!, this.site, directory, dice(Math.floor(this.random() * 2 ** 32)), this.tally, this.log);
    });
    let goesOn = true;
    const failed: string[] = [];
    const work = workers.map((worker) => worker.run(() => goesOn).catch((error: unknown) => void failed.push(String(error))));
    const pending: Promise<void>[] = [];
    for (let blow = 0; blow < blows; blow++) {
      await pause(this.random() * 2 * pace);
      pending.push(this.strike(blow));
    }
    await Promise.all(pending);
    goesOn = false;
    await Promise.all(work);
    // What the clients were told is stored.
    await pause(500);
    const histories = this.histories();
    for (const [id, history] of histories) this.keep(id, history);
    return [...failed, ...workers.flatMap((worker) => worker.check(histories.get(worker.id) ?? ''))];
  }

  private async strike(blow: number): Promise<void> {
    // One that is left alone, so that the sessions have somewhere to go.
    const free = this.targets.filter(({ hit }) => !hit);
    if (free.length < 2) return;
    const target = free[Math.floor(this.random() * free.length)]!;
    const at = this.random();
    const length = this.random();
    target.hit = true;
    try {
      if (at < 0.45) await this.kill(target, length);
      else if (at < 0.75) await this.stop(target, length);
      else await this.drain(target, length);
      this.log(`${blow} ${at < 0.45 ? 'kill' : at < 0.75 ? 'stop' : 'drain'} ${target.name}`);
    } finally {
      target.hit = false;
    }
  }

  private async kill({ name }: Target, length: number): Promise<void> {
    this.tally.kills++;
    const server = this.indexOf(name);
    if (server === undefined) {
      const pid = (await this.site.backend(name))?.pid;
      if (pid !== undefined) signalGroup(pid, 'SIGKILL');
    } else {
      await this.site.servers[server]!.kill9();
      await pause(length * 800);
      await this.site.restartServer(server);
    }
    await this.isBack(name);
  }

  private async stop({ name }: Target, length: number): Promise<void> {
    this.tally.stops++;
    const server = this.indexOf(name);
    const pid = server === undefined ? (await this.site.backend(name))?.pid : this.site.servers[server]!.pid;
    if (pid === undefined) return;
    signalGroup(pid, 'SIGSTOP');
    await pause(100 + length * 4_000);
    // A managed one may have been replaced by another process by now.
    signalGroup(pid, 'SIGCONT');
    if (await this.isBack(name, 3_000)) return;
    if (server !== undefined) {
      await this.site.servers[server]!.kill9();
      await this.site.restartServer(server);
    }
    await this.isBack(name);
  }

  private async drain({ name }: Target, length: number): Promise<void> {
    this.tally.drains++;
    await this.order('drain', name);
    await pause(200 + length * 2_000);
    await this.order('undrain', name);
  }

  private order(order: 'drain' | 'undrain', name: string): Promise<unknown> {
    const socket = path.join(this.site.skyport.directory, 'data', 'skyport.sock');
    return adminCall(socket, 'POST', order, { name });
  }

  private async isBack(name: string, within = 30_000): Promise<boolean> {
    for (const end = Date.now() + within; Date.now() < end; await pause(50)) {
      if ((await this.site.backend(name))?.state === 'up') return true;
    }
    return false;
  }

  private indexOf(name: string): number | undefined {
    return name.startsWith('cli-') ? Number(name.slice('cli-'.length)) - 1 : undefined;
  }

  /** The stored histories, by session id. */
  private histories(): Map<string, string> {
    const found = new Map<string, string>();
    const root = path.join(this.site.skyport.directory, 'data', 'sessions');
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.startsWith('events.jsonl')) continue;
      const text = readFileSync(path.join(entry.parentPath, entry.name), 'utf8');
      const id = /"sessionId":"([^"]+)"/.exec(text)?.[1];
      if (id !== undefined) found.set(id, text);
    }
    return found;
  }
}

/** Adds a line to a file, for runs that nobody watches. */
export function logTo(file: string | undefined): (line: string) => void {
  return (line) => {
    if (file !== undefined) appendFileSync(file, `${new Date().toISOString()} ${line}\n`);
  };
}
