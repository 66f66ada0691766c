/**
 * A raw JSON-RPC client, over TCP with Content-Length framing or over WebSocket with one message per
 * text message. It hides nothing: every frame it received is kept as text, ids are the caller's to
 * choose, and any bytes may be sent.
 */
import net from 'node:net';
import { WebSocket, type ClientOptions } from 'ws';
import { frame, FrameReader } from './framing.js';

export interface WireError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** Any message as it came: an answer has `result` or `error`, a request `method` and `id`. */
export interface WireMessage {
  readonly id?: number | string | null;
  readonly method?: string;
  readonly params?: { readonly [name: string]: unknown };
  readonly result?: unknown;
  readonly error?: WireError;
}

export interface WireEvent {
  readonly type: string;
  readonly data: { readonly [name: string]: unknown };
  readonly ephemeral?: boolean;
}

interface Carrier {
  sendText(text: string): void;
  sendBytes(bytes: Buffer): void;
  pause(): void;
  resume(): void;
  destroy(): void;
}

interface Wait {
  readonly predicate: (message: WireMessage) => boolean;
  resolve(message: WireMessage): void;
  reject(error: Error): void;
}

export class WireClient {
  /** The text of every frame that arrived. */
  readonly frames: string[] = [];
  /** The same, parsed. */
  readonly messages: WireMessage[] = [];
  /** Why the connection ended, once it has. */
  readonly closed: Promise<string>;
  /** Answers server→client requests as they come; without it they stay open. */
  onRequest: ((request: WireMessage) => void) | undefined;

  private carrier!: Carrier;
  private readonly waits = new Set<Wait>();
  private lastId = 0;
  private end: string | undefined;
  private settle!: (reason: string) => void;

  private constructor() {
    this.closed = new Promise((resolve) => (this.settle = resolve));
  }

  /** @param address `host:port` */
  static async tcp(address: string): Promise<WireClient> {
    const client = new WireClient();
    const [host, port] = address.split(':');
    const socket = net.connect({ host, port: Number(port), noDelay: true });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const reader = new FrameReader();
    socket.on('data', (chunk) => reader.push(chunk).forEach((text) => client.receive(text)));
    socket.on('error', (error) => client.finish(error.message));
    socket.on('close', () => client.finish('closed'));
    client.carrier = {
      sendText: (text) => socket.write(frame(text)),
      sendBytes: (bytes) => socket.write(bytes),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      destroy: () => socket.destroy(),
    };
    return client;
  }

  /** @param url `ws://host:port/rpc` */
  static async webSocket(url: string, options: ClientOptions = {}): Promise<WireClient> {
    const client = new WireClient();
    const socket = new WebSocket(url, options);
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
    socket.on('message', (data) => client.receive(String(data)));
    socket.on('error', (error) => client.finish(error.message));
    socket.on('close', (code, reason) => client.finish(`${code} ${reason.toString()}`.trim()));
    client.carrier = {
      sendText: (text) => socket.send(text),
      sendBytes: (bytes) => socket.send(bytes, { binary: true }),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      destroy: () => socket.terminate(),
    };
    return client;
  }

  /** The handshake of SDKs from 1.0.0 on. */
  login(token?: string): Promise<WireMessage> {
    return this.call('connect', { token });
  }

  /** Sends a request. @returns its answer, whether a result or an error */
  call(method: string, params: object = {}, id: number | string = ++this.lastId): Promise<WireMessage> {
    const answer = this.next((message) => message.id === id && message.method === undefined);
    this.sendText(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return answer;
  }

  /** Sends a request. @returns its result; an error rejects */
  async result<T = { readonly [name: string]: unknown }>(method: string, params: object = {}): Promise<T> {
    const answer = await this.call(method, params);
    if (answer.error) throw new Error(`${method}: ${answer.error.code} ${answer.error.message}`);
    return answer.result as T;
  }

  notify(method: string, params: object = {}): void {
    this.sendText(JSON.stringify({ jsonrpc: '2.0', method, params }));
  }

  answer(request: WireMessage, result: unknown): void {
    this.sendText(JSON.stringify({ jsonrpc: '2.0', id: request.id, result }));
  }

  answerError(request: WireMessage, error: WireError): void {
    this.sendText(JSON.stringify({ jsonrpc: '2.0', id: request.id, error }));
  }

  /** Sends one message in a proper frame, whatever its text. */
  sendText(text: string): void {
    this.carrier.sendText(text);
  }

  /** Sends bytes as they are: part of a frame, or none. */
  sendBytes(bytes: Buffer | string): void {
    this.carrier.sendBytes(typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes);
  }

  /** The first message that satisfies the predicate, of those that came and those that will. */
  async until(predicate: (message: WireMessage) => boolean): Promise<WireMessage> {
    return this.messages.find(predicate) ?? this.next(predicate);
  }

  /** Waits for an event of a session; past ones count too. */
  async untilEvent(sessionId: string, type: string): Promise<WireEvent> {
    const found = await this.until((message) => eventOf(message, sessionId)?.type === type);
    return eventOf(found, sessionId)!;
  }

  notifications(method?: string): WireMessage[] {
    return this.messages.filter((message) => message.method !== undefined && message.id === undefined
      && (method === undefined || message.method === method));
  }

  requests(method?: string): WireMessage[] {
    return this.messages.filter((message) => message.method !== undefined && message.id !== undefined
      && (method === undefined || message.method === method));
  }

  events(sessionId: string): WireEvent[] {
    return this.messages.flatMap((message) => eventOf(message, sessionId) ?? []);
  }

  /** Reads nothing more until `readOn`. */
  stopReading(): void {
    this.carrier.pause();
  }

  readOn(): void {
    this.carrier.resume();
  }

  /** Drops the connection without a word. */
  destroy(): void {
    this.carrier.destroy();
  }

  async stop(): Promise<void> {
    this.destroy();
    await this.closed;
  }

  private next(predicate: (message: WireMessage) => boolean): Promise<WireMessage> {
    if (this.end !== undefined) return Promise.reject(new Error(`connection is closed: ${this.end}`));
    return new Promise((resolve, reject) => this.waits.add({ predicate, resolve, reject }));
  }

  private receive(text: string): void {
    const message = JSON.parse(text) as WireMessage;
    this.frames.push(text);
    this.messages.push(message);
    for (const wait of this.waits) {
      if (!wait.predicate(message)) continue;
      this.waits.delete(wait);
      wait.resolve(message);
    }
    if (message.method !== undefined && message.id !== undefined) this.onRequest?.(message);
  }

  private finish(reason: string): void {
    if (this.end !== undefined) return;
    this.end = reason;
    this.settle(reason);
    for (const wait of this.waits) wait.reject(new Error(`connection closed: ${reason}`));
    this.waits.clear();
  }
}

function eventOf(message: WireMessage, sessionId: string): WireEvent | undefined {
  if (message.method !== 'session.event' || message.params?.sessionId !== sessionId) return undefined;
  return message.params.event as WireEvent;
}
