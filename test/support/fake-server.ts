/**
 * A fake CLI server on TCP, for unit tests and benchmarks only: it keeps the wire's rules (PROTOCOL:
 * "Framing", "Handshake", "Sessions"), has no model, and does what it is told. It imports nothing but
 * node and its two neighbours, so that fake-server-child.ts can run it in a process of its own.
 *
 * A prompt that is a JSON object steers the turn: `{"events":100,"bytes":300,"rate":50}` answers with
 * that many `assistant.message_delta` events of about that size, that many a second (all at once without
 * a rate), then `session.idle`. Any other prompt is answered at once with one `assistant.message`.
 */
import net, { type AddressInfo } from 'node:net';
import { frame, FrameReader } from './framing.js';
import { FakeStream, streamEvent } from './fake-stream.js';
import { Gate } from './gate.js';

export interface FakeServerOptions {
  readonly token?: string;
  /** As `connect` reports it. Default 1.0.85. */
  readonly version?: string;
  readonly port?: number;
  /** Connections beyond it are accepted and closed, as a real server does. Default 128. */
  readonly maxConnections?: number;
  /** Keep `requests`; a benchmark switches it off. Default true. */
  readonly record?: boolean;
}

export interface FakeRequest {
  /** Number of the connection, from 1 in the order they were accepted. */
  readonly connection: number;
  readonly id: number | string | undefined;
  readonly method: string;
  readonly params: { readonly [name: string]: unknown };
  /** The frame as it arrived. */
  readonly text: string;
}

export interface FakeAnswer {
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

interface Connection {
  readonly number: number;
  readonly socket: net.Socket;
  readonly sessions: Set<string>;
  authenticated: boolean;
  lastId: number;
}

type Handler = (request: FakeRequest) => FakeAnswer;

const OK: FakeAnswer = { result: { success: true } };

export class FakeServer {
  readonly requests: FakeRequest[] = [];
  /** Answers to the server's own requests, as they came. */
  readonly answers: { readonly connection: number; readonly text: string }[] = [];
  /** Sessions for which a second write arrived while one was unanswered. */
  readonly overlaps: string[] = [];
  /** Connections that were turned away. */
  turnedAway = 0;
  private readonly connections = new Map<number, Connection>();
  private readonly sessions = new Set<string>();
  private readonly writing = new Map<string, number>();
  private readonly delays = new Map<string, number>();
  private readonly scripted = new Map<string, Handler>();
  private readonly gates = new Map<string, Gate>();
  private readonly streams = new FakeStream();
  private readonly watchers = new Set<() => void>();
  private accepted = 0;
  private hung: (() => void)[] | undefined;
  private readonly server: net.Server;

  private constructor(private readonly options: FakeServerOptions) {
    this.server = net.createServer({ noDelay: true }, (socket) => this.accept(socket));
  }

  static async start(options: FakeServerOptions = {}): Promise<FakeServer> {
    const fake = new FakeServer(options);
    await new Promise<void>((resolve) => fake.server.listen(options.port ?? 0, '127.0.0.1', resolve));
    return fake;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.connections.size;
  }

  /** Numbers of the connections that are attached to a session. */
  attachedTo(sessionId: string): number[] {
    return [...this.connections.values()].filter((one) => one.sessions.has(sessionId)).map((one) => one.number);
  }

  /** Sessions that have a connection attached now. */
  get attachedSessions(): number {
    return new Set([...this.connections.values()].flatMap((one) => [...one.sessions])).size;
  }

  /** Answers a method only after that many milliseconds. */
  delay(method: string, milliseconds: number): void {
    this.delays.set(method, milliseconds);
  }

  /** Answers a method in another way than by default. */
  answer(method: string, handler: Handler): void {
    this.scripted.set(method, handler);
  }

  /** Holds the answers to a method back: the test lets them through, one by one or all. */
  gate(method: string): Gate {
    const gate = new Gate();
    this.gates.set(method, gate);
    return gate;
  }

  /** Takes nothing in any more on any connection, as a process that has no time; `readOn` goes on. */
  stopReading(): void {
    for (const { socket } of this.connections.values()) socket.pause();
  }

  readOn(): void {
    for (const { socket } of this.connections.values()) socket.resume();
  }

  /** Reads on but answers nothing, as a stopped process does; `recover` answers everything that waits. */
  hang(): void {
    this.hung ??= [];
  }

  recover(): void {
    const waiting = this.hung ?? [];
    this.hung = undefined;
    for (const go of waiting) go();
  }

  /** Closes every connection; the server listens on. */
  dropConnections(): void {
    for (const connection of this.connections.values()) connection.socket.destroy();
  }

  /** Sends events to the connections attached to a session; without a rate, all at once. Resolves when all are written. */
  emit(sessionId: string, count: number, bytes: number, ratePerSecond?: number): Promise<void> {
    return this.streams.run(count, ratePerSecond, (sequence) => {
      const bytesOfFrame = frame(streamEvent(sessionId, sequence, bytes));
      return this.attached(sessionId).map((one) => one.socket.write(bytesOfFrame)).every(Boolean);
    });
  }

  /** Sends one event to the connections attached to a session. */
  event(sessionId: string, type: string, data: object = {}): void {
    const id = `00000000-0000-4000-8000-${String(this.requests.length).padStart(12, '0')}`;
    const event = { type, data, id, timestamp: new Date().toISOString(), parentId: null };
    for (const one of this.attached(sessionId)) this.send(one, { method: 'session.event', params: { sessionId, event } });
  }

  /** Sends a notification to every authenticated connection, as `session.lifecycle` goes. */
  broadcast(method: string, params: object): void {
    for (const one of this.connections.values()) if (one.authenticated) this.send(one, { method, params });
  }

  /**
   * Sends a request to the connections attached to a session, each with an id of its own from 1.
   * @returns where it went, in the form of `answers`
   */
  ask(sessionId: string, method: string, params: object): { connection: number; id: number }[] {
    return this.attached(sessionId).map((one) => {
      const id = ++one.lastId;
      this.send(one, { id, method, params: { sessionId, ...params } });
      return { connection: one.number, id };
    });
  }

  /** Sends a request on one connection. @returns where it went, in the form of `answers` */
  askOn(number: number, method: string, params: object): { connection: number; id: number } {
    const connection = this.connections.get(number)!;
    const id = ++connection.lastId;
    this.send(connection, { id, method, params });
    return { connection: number, id };
  }

  /** Closes one connection. */
  drop(number: number): void {
    this.connections.get(number)?.socket.destroy();
  }

  /** Waits for a request, past ones included. */
  async until(predicate: (request: FakeRequest) => boolean): Promise<FakeRequest> {
    for (;;) {
      const found = this.requests.find(predicate);
      if (found) return found;
      await new Promise<void>((resolve) => this.watchers.add(resolve));
    }
  }

  async stop(): Promise<void> {
    this.streams.stop();
    this.dropConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private attached(sessionId: string): Connection[] {
    return [...this.connections.values()].filter((one) => one.sessions.has(sessionId));
  }

  private accept(socket: net.Socket): void {
    socket.on('error', () => undefined);
    if (this.connections.size >= (this.options.maxConnections ?? 128)) {
      this.turnedAway += 1;
      socket.destroy();
      return;
    }
    const connection: Connection = { number: ++this.accepted, socket, sessions: new Set(), authenticated: this.options.token === undefined, lastId: 0 };
    this.connections.set(connection.number, connection);
    const reader = new FrameReader();
    socket.on('data', (chunk) => reader.push(chunk).forEach((text) => this.receive(connection, text)));
    socket.on('close', () => this.connections.delete(connection.number));
  }

  private receive(connection: Connection, text: string): void {
    const { id, method, params: given } = JSON.parse(text) as Partial<FakeRequest>;
    const params = given ?? {};
    if (method === undefined) {
      this.answers.push({ connection: connection.number, text });
    } else {
      const request: FakeRequest = { connection: connection.number, id, method, params, text };
      if (this.options.record !== false) this.requests.push(request);
      if (id !== undefined) this.handle(connection, request);
    }
    for (const wake of this.watchers) wake();
    this.watchers.clear();
  }

  private handle(connection: Connection, request: FakeRequest): void {
    const sessionId = String(request.params.sessionId);
    const writes = request.method.startsWith('session.send');
    if (writes) {
      const before = this.writing.get(sessionId) ?? 0;
      if (before > 0) this.overlaps.push(sessionId);
      this.writing.set(sessionId, before + 1);
    }
    const go = (): void => {
      if (writes) this.writing.set(sessionId, this.writing.get(sessionId)! - 1);
      const handler = this.scripted.get(request.method);
      this.send(connection, { id: request.id, ...(handler ? handler(request) : this.byDefault(connection, request)) });
    };
    const wait = this.delays.get(request.method);
    const gate = this.gates.get(request.method);
    if (this.hung) this.hung.push(go);
    else if (gate) gate.enter(request, go);
    else if (wait !== undefined) setTimeout(go, wait);
    else go();
  }

  private byDefault(connection: Connection, { method, params }: FakeRequest): FakeAnswer {
    if (method === 'connect') return this.connect(connection, params.token);
    if (!connection.authenticated) return { error: { code: -32001, message: 'AUTHENTICATION_REQUIRED' } };
    if (method === 'ping') return { result: { message: 'pong', timestamp: new Date().toISOString(), protocolVersion: 3 } };
    if (method === 'session.list') return { result: { sessions: [...this.sessions].map((sessionId) => ({ sessionId })) } };
    const sessionId = typeof params.sessionId === 'string' ? params.sessionId : undefined;
    if (method === 'session.create') return this.attach(connection, sessionId ?? `fake-${this.sessions.size + 1}`);
    if (sessionId === undefined) return OK;
    if (method === 'session.delete') return { result: { success: this.sessions.delete(sessionId) } };
    if (method === 'session.detach' || method === 'session.destroy') return { result: { success: connection.sessions.delete(sessionId) } };
    if (!this.sessions.has(sessionId)) return { error: { code: -32603, message: `Request ${method} failed with message: Session not found for sessionId: ${sessionId}` } };
    if (method === 'session.resume') return this.attach(connection, sessionId);
    if (method === 'session.send') setImmediate(() => void this.turn(sessionId, String(params.prompt)));
    return method === 'session.send' ? { result: { messageId: 'message' } } : OK;
  }

  private connect(connection: Connection, token: unknown): FakeAnswer {
    if (this.options.token === undefined && token != null) return { error: { code: -32003, message: 'AUTHENTICATION_NOT_CONFIGURED' } };
    if (this.options.token !== undefined && token !== this.options.token) return { error: { code: -32002, message: 'AUTHENTICATION_FAILED' } };
    connection.authenticated = true;
    return { result: { ok: true, protocolVersion: 3, version: this.options.version ?? '1.0.85', taskKinds: ['agent', 'shell'] } };
  }

  private attach(connection: Connection, sessionId: string): FakeAnswer {
    this.sessions.add(sessionId);
    connection.sessions.add(sessionId);
    return { result: { sessionId, isRemote: false, capabilities: { ui: { elicitation: false } } } };
  }

  private async turn(sessionId: string, prompt: string): Promise<void> {
    const script = prompt.startsWith('{') ? (JSON.parse(prompt) as { events?: number; bytes?: number; rate?: number }) : undefined;
    this.event(sessionId, 'user.message', { content: prompt });
    if (script) await this.emit(sessionId, script.events ?? 1, script.bytes ?? 300, script.rate);
    else this.event(sessionId, 'assistant.message', { content: `fake: ${prompt}` });
    this.event(sessionId, 'session.idle');
  }

  private send(connection: Connection, message: object): void {
    connection.socket.write(frame(JSON.stringify({ jsonrpc: '2.0', ...message })));
  }
}
