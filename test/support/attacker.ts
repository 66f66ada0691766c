/**
 * One connection that sends hostile messages, cut anywhere, and keeps account: which ids must be
 * answered, how often, and what else came.
 */
import { isUtf8 } from 'node:buffer';
import net from 'node:net';
import { WebSocket } from 'ws';
import { answeredId, expectedAnswer } from './expected-answer.js';
import { frame, FrameReader } from './framing.js';

/** Who attacks, and from where. */
export interface Post {
  /** `host:port`, or `ws://…` for WebSocket. */
  readonly address: string;
  /** Without one the connection never logs in. */
  readonly token?: string;
}

/** Milliseconds after which an answer counts as missing. */
const PATIENCE = 20_000;

export class Attacker {
  /** The text of every frame that came. */
  readonly received: string[] = [];
  private readonly due = new Map<string, number>();
  private nullsDue = 0;
  private nullsPossible = 0;
  private nulls = 0;
  private closed = false;
  private readonly waits = new Set<(problem?: string) => void>();

  private constructor(
    private readonly write: (bytes: Buffer) => void,
    private readonly end: () => void,
    readonly framed: boolean,
  ) {}

  static async dial({ address, token }: Post): Promise<Attacker> {
    const attacker = address.startsWith('ws://') ? await Attacker.webSocket(address) : await Attacker.tcp(address);
    if (token !== undefined) {
      void attacker.send([Buffer.from(`{"jsonrpc":"2.0","id":"login","method":"connect","params":{"token":"${token}"}}`)], () => Infinity);
      await attacker.answered();
    }
    return attacker;
  }

  /**
   * Sends messages. What must be answered is counted.
   * @param cut bytes of the next write, on a byte stream
   */
  async send(bodies: readonly Buffer[], cut: () => number): Promise<void> {
    for (const body of bodies) this.expect(body);
    if (!this.framed) {
      for (const body of bodies) this.write(body);
      return;
    }
    const bytes = Buffer.concat(bodies.map((body) => frame(body)));
    for (let at = 0; at < bytes.length && !this.closed; ) {
      const to = Math.min(bytes.length, at + cut());
      this.write(bytes.subarray(at, to));
      at = to;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Sends bytes that no answer is counted for. */
  sendRaw(bytes: Buffer): void {
    this.write(bytes);
  }

  /** Waits until everything that must be answered has been. Rejects when it has been answered wrongly or not. */
  async answered(): Promise<void> {
    if (this.settled) return;
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => done('no answer in time'), PATIENCE);
      const done = (problem?: string): void => {
        clearTimeout(late);
        this.waits.delete(done);
        if (problem === undefined) resolve();
        else reject(new Error(`${problem}; waiting for ${JSON.stringify([...this.due].filter(([, count]) => count > 0).slice(0, 5))}; last frames: ${this.received.slice(-3).join('\n').slice(0, 600)}`));
      };
      this.waits.add(done);
    });
  }

  /** What is wrong with the account, once everything has been answered. */
  mistakes(): string[] {
    const wrong = [...this.due].filter(([, count]) => count !== 0).map(([id, count]) => `${id}: ${count < 0 ? `${-count} answers too many` : `${count} missing`}`);
    if (this.nulls < this.nullsDue || this.nulls > this.nullsPossible) {
      wrong.push(`${this.nulls} answers with id null, not ${this.nullsDue} to ${this.nullsPossible}`);
    }
    return wrong;
  }

  /** Drops the connection without a word. */
  drop(): void {
    this.end();
  }

  /** Waits until the other side has closed. */
  async cut(): Promise<void> {
    while (!this.closed) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  private get settled(): boolean {
    for (const count of this.due.values()) if (count > 0) return false;
    return true;
  }

  private expect(body: Buffer): void {
    const expected = expectedAnswer(body);
    if (expected.kind === 'id') this.due.set(expected.id, (this.due.get(expected.id) ?? 0) + 1);
    else this.nullsPossible++;
    if (expected.kind === 'null') this.nullsDue++;
  }

  private receive(text: string): void {
    this.received.push(text);
    const id = answeredId(text);
    if (id === undefined) return;
    if (id === 'null') this.nulls++;
    else this.due.set(id, (this.due.get(id) ?? 0) - 1);
    if (this.waits.size > 0 && this.settled) for (const done of this.waits) done();
  }

  private finish(): void {
    this.closed = true;
    for (const done of this.waits) done('the connection was closed');
  }

  private static async tcp(address: string): Promise<Attacker> {
    const [host, port] = address.split(':');
    const socket = net.connect({ host, port: Number(port), noDelay: true });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const attacker = new Attacker((bytes) => socket.write(bytes), () => socket.destroy(), true);
    const reader = new FrameReader();
    socket.on('data', (chunk) => reader.push(chunk).forEach((text) => attacker.receive(text)));
    socket.on('error', () => undefined).on('close', () => attacker.finish());
    return attacker;
  }

  private static async webSocket(url: string): Promise<Attacker> {
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
    // Bytes that are no text would end a WebSocket: they go as binary, which ends it as well.
    const attacker = new Attacker((bytes) => socket.send(bytes, { binary: !isUtf8(bytes) }), () => socket.terminate(), false);
    socket.on('message', (data) => attacker.receive(String(data)));
    socket.on('error', () => undefined).on('close', () => attacker.finish());
    return attacker;
  }
}
