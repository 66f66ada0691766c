/** The clients of a round: they connect, have sessions, ask, and count what comes. */
import { randomUUID } from 'node:crypto';
import { Client, type ClientHost } from './client.js';
import { sessionName } from './frames.js';
import { Latencies, type Spread } from './latencies.js';
import { inWords, Ledger } from './ledger.js';
import { now } from './orders.js';

export interface OpenOrder {
  readonly host: string;
  readonly port: number;
  readonly clients: number;
  /** Of all clients; client i has those whose number is i more than a multiple of their count. */
  readonly sessions: number;
  /** Number of the first one. */
  readonly first?: number;
  readonly run: string;
  /** Client i shows number i, from the beginning again when there are fewer. None: no token. */
  readonly tokens?: readonly string[];
  /** Clients that cannot be had are left out. */
  readonly tolerant?: boolean;
}

export interface Outcome {
  readonly messages: number;
  readonly latencies: Spread;
  readonly wrong: readonly string[];
  /** Milliseconds from the first to the last message. */
  readonly took: number;
}

interface Paced {
  readonly start: number;
  readonly rate: number;
  readonly count: number;
  readonly first: number;
  /** Events of each session before. */
  readonly before: readonly number[];
}

interface Pace {
  /** A second. */
  readonly rate: number;
  readonly seconds: number;
  /** When the first is due (`now`). */
  readonly start: number;
  /** Milliseconds that answers may take after the last request. */
  readonly patience?: number;
}

/** Milliseconds in which nothing comes, and nothing will. */
const QUIET = 5_000;
/** Sessions and connections that are being opened at one time. */
const AT_ONCE = 50;
const PATIENCE = 60_000;

export class Crowd implements ClientHost {
  ledger = new Ledger(0);
  clients: Client[] = [];
  eventBytes = 0;
  private readonly latencies = new Latencies();
  private order!: OpenOrder;
  private refill = 0;
  private until = 0;
  private counted = 0;
  private lastAt = 0;
  private readAt = 0;
  private paced: Paced | undefined;
  /** Clients that asked for more in the read that is being looked at. */
  private answered = 0;
  private done: (() => void) | undefined;

  /** @returns how many clients there are now, and why one could not be had */
  async open(order: OpenOrder): Promise<{ clients: number; refused?: string }> {
    const { clients, sessions, first = 0, tolerant = false } = order;
    this.order = order;
    if (this.ledger.sessions < first + sessions) this.ledger = new Ledger(first + sessions);
    let refused: string | undefined;
    const begin = this.clients.length;
    await inTurns(clients, async (i) => {
      const client = await this.connect(begin + i).catch((error: unknown) => {
        if (!tolerant) throw error;
        refused = String((error as Error).message);
        return undefined;
      });
      if (!client) return;
      for (let session = i; session < sessions; session += clients) {
        this.ledger.own(first + session, client.number);
        try {
          await client.call('session.create', { sessionId: sessionName(order.run, first + session) });
        } catch (error) {
          if (!tolerant) throw error;
          refused = String((error as Error).message);
          client.socket.destroy();
          return;
        }
      }
      if (sessions === 0) client.prepare(undefined, -1);
      else if (i < sessions) client.prepare(sessionName(order.run, first + i), first + i);
      this.clients.push(client);
    });
    return { clients: this.clients.length, refused };
  }

  /** Every session begins a turn, or ends it when `idle` has been ordered. */
  async beginTurns(): Promise<void> {
    const { sessions, first = 0 } = this.order;
    const byNumber = new Map(this.clients.map((client) => [client.number, client]));
    await inTurns(sessions, async (i) => {
      const sessionId = sessionName(this.order.run, first + i);
      const client = byNumber.get(this.ledger.ownerOf(first + i));
      const idle = client?.untilIdle(sessionId);
      await client?.call('session.send', { sessionId, prompt: 'the quick brown fox' });
      if (idle) this.turns.push(idle);
    });
  }

  private readonly turns: Promise<void>[] = [];

  async endTurns(): Promise<void> {
    await withPatience(Promise.all(this.turns.splice(0)), 'turns do not end');
  }

  /** Each client keeps `window` requests on the way. */
  async ask({ window, seconds }: { readonly window: number; readonly seconds: number }): Promise<Outcome> {
    this.reset();
    const start = now();
    this.until = start + seconds * 1000;
    this.refill = window;
    for (const client of this.clients) client.ask(window, start);
    await this.answersOf(seconds * 1000 + PATIENCE);
    return this.outcome(start);
  }

  /** Requests at their times, whether or not earlier ones are answered; clients take turns. */
  async askPaced({ rate, seconds, start, patience = PATIENCE }: Pace): Promise<Outcome> {
    this.reset();
    const total = Math.floor(rate * seconds);
    const alive = this.clients.filter(({ closed }) => !closed);
    await later(start - now());
    for (let next = 0; next < total;) {
      const due = Math.min(total, Math.floor(((now() - start) * rate) / 1000) + 1);
      for (; next < due; next++) alive[next % alive.length]!.ask(1, start + (next * 1000) / rate);
      if (next < total) await later(Math.max(1, start + (next * 1000) / rate - now()));
    }
    await this.answersOf(patience);
    return this.outcome(start);
  }

  /** Begins to count events. @param bytes of the body of each. @param paced of those that have a time of their own */
  expect({ bytes, paced }: { readonly bytes: number; readonly paced?: Paced }): void {
    this.reset();
    this.eventBytes = bytes;
    this.paced = paced;
  }

  /** Waits until all have come. @param sent events of each session since the beginning */
  async received({ sent, start, patience = QUIET }: { readonly sent: readonly number[]; readonly start: number; readonly patience?: number }): Promise<Outcome> {
    const latest = now() + PATIENCE;
    let before = -1;
    let still = now();
    while (!this.ledger.complete(sent) && now() < latest) {
      await later(5);
      if (this.counted !== before) still = now();
      else if (now() - still > patience) break;
      before = this.counted;
    }
    this.ledger.settle(sent);
    return this.outcome(start);
  }

  /** Connections with handshakes, each at its time, closed a moment after the answer. */
  async storm({ rate, seconds, start }: Pace): Promise<Outcome> {
    this.reset();
    const total = Math.floor(rate * seconds);
    const all: Promise<void>[] = [];
    await later(start - now());
    for (let next = 0; next < total;) {
      const due = Math.min(total, Math.floor(((now() - start) * rate) / 1000) + 1);
      for (; next < due; next++) all.push(this.comeAndGo(next, start + (next * 1000) / rate));
      if (next < total) await later(Math.max(1, start + (next * 1000) / rate - now()));
    }
    await withPatience(Promise.all(all), 'handshakes are not answered');
    return this.outcome(start);
  }

  async close(): Promise<void> {
    const { clients } = this;
    this.clients = [];
    await Promise.all(clients.map((client) => new Promise<void>((resolve) => {
      if (client.closed) resolve();
      else client.socket.once('close', () => resolve()).end();
      setTimeout(() => client.socket.destroy(), 1_000);
    })));
  }

  onEvent(session: number, place: number): void {
    this.counted++;
    const { paced } = this;
    if (!paced) return;
    this.readAt ||= now();
    const n = (place - paced.before[session]!) * paced.count + (session - paced.first);
    this.latencies.add(this.readAt - paced.start - (n * 1000) / paced.rate);
  }

  onAnswer(_client: Client, since: number): void {
    this.readAt ||= now();
    this.counted++;
    this.answered++;
    this.latencies.add(this.readAt - since);
  }

  onRead(client: Client): void {
    this.lastAt = this.readAt || now();
    if (this.answered > 0 && this.refill > 0) {
      if (this.lastAt < this.until) client.ask(this.answered, now());
      else if (client.calls.waiting === 0) this.done?.();
    }
    this.answered = 0;
    this.readAt = 0;
  }

  onClosed(): void {
    this.done?.();
  }

  private async connect(number: number): Promise<Client> {
    const { host, port, tokens } = this.order;
    const client = new Client(number, this, { host, port });
    if (!(await client.connected())) throw new Error('the connection is refused');
    await client.call('connect', tokens && tokens.length > 0 ? { token: tokens[number % tokens.length] } : {});
    return client;
  }

  private async comeAndGo(number: number, at: number): Promise<void> {
    try {
      const client = await this.connect(1_000_000 + number);
      this.counted++;
      this.lastAt = now();
      this.latencies.add(this.lastAt - at);
      setTimeout(() => client.socket.end(), 100);
    } catch {
      this.ledger.mistakes.refused++;
    }
  }

  private reset(): void {
    this.counted = 0;
    this.refill = 0;
    this.paced = undefined;
    this.latencies.take();
    Object.assign(this.ledger.mistakes, new Ledger(0).mistakes);
  }

  private async answersOf(patience: number): Promise<void> {
    const latest = now() + patience;
    const waiting = (): boolean => this.clients.some(({ calls, closed }) => calls.waiting > 0 && !closed);
    while ((now() < this.until || waiting()) && now() < latest) {
      await new Promise<void>((resolve) => {
        this.done = resolve;
        setTimeout(resolve, 20);
      });
    }
    for (const { calls } of this.clients) this.ledger.mistakes.unanswered += calls.give();
  }

  private outcome(start: number): Outcome {
    const refusal = this.clients.find((client) => client.refusal)?.refusal;
    const wrong = inWords(this.ledger.mistakes);
    return {
      messages: this.counted, latencies: this.latencies.take(), took: this.lastAt - start,
      wrong: refusal !== undefined && wrong.length > 0 ? [...wrong, refusal] : wrong,
    };
  }
}

/** A name that no other run has. */
export function runName(): string {
  return randomUUID().slice(0, 8);
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

async function withPatience(work: Promise<unknown>, message: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new Error(message)), PATIENCE); });
  await Promise.race([work, late]);
  clearTimeout(timer);
}

/** Calls `each` for all numbers below `count`, some at a time. */
async function inTurns(count: number, each: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, async () => {
    while (next < count) await each(next++);
  }));
}
