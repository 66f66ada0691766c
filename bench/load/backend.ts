/**
 * A stand-in for a CLI server: what a runtime is on the wire (PROTOCOL: "Framing", "Handshake", "Sessions"),
 * without a model, cheap enough that a proxy is what is measured. It streams the events that streams.ts paces.
 *
 * With Skyport's default config it is asked to keep its state there, and does: an append when a session is
 * created and one at the end of each turn, which waits for it.
 */
import { randomUUID } from 'node:crypto';
import net, { type AddressInfo } from 'node:net';
import { EventFrame, frameOf, ID_AT, MESSAGE_OF_300, METHOD, NUMBER_AT } from './frames.js';
import { Splitter } from './splitter.js';

export interface BackendOptions {
  /** Connections beyond it are accepted and closed, as a runtime does with the 129th. */
  readonly maxConnections?: number;
}

export interface BackendSession {
  readonly id: string;
  readonly connection: Connection;
  event: EventFrame;
  /** Events since it was created. */
  sent: number;
}

interface Message {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: { readonly sessionId?: string };
}

const CONNECT = { ok: true, protocolVersion: 3, version: '1.0.85', taskKinds: ['agent', 'shell'] };
const METHOD_AT = ',"method":"'.length;
const PARAMS = '","params":{"sessionId":"';

export class Backend {
  /** In the order of their numbers. */
  readonly sessions: BackendSession[] = [];
  readonly byId = new Map<string, BackendSession>();
  readonly connections = new Set<Connection>();
  provider: Connection | undefined;
  readonly tails = new Map<number, Buffer>();
  private readonly server: net.Server;

  constructor(private readonly options: BackendOptions) {
    this.server = net.createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => undefined);
      if (this.connections.size >= (this.options.maxConnections ?? Infinity)) socket.destroy();
      else this.connections.add(new Connection(this, socket));
    });
  }

  /** @returns the port, on loopback */
  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => resolve((this.server.address() as AddressInfo).port));
    });
  }

  close(): void {
    this.server.close();
    for (const { socket } of this.connections) socket.destroy();
  }

  /** The session ids that the load gives end in the session's number. */
  add(id: string, connection: Connection): void {
    const session = { id, connection, event: new EventFrame(id, MESSAGE_OF_300, this.tails), sent: 0 };
    this.sessions[Number(id.slice(NUMBER_AT))] = session;
    this.byId.set(id, session);
  }

  /** Their turns are over: what they had is stored, and their clients are told. */
  async idle(sessions: readonly BackendSession[]): Promise<void> {
    await Promise.all(sessions.map(async ({ id, connection }) => {
      const event = eventOf('user.message', randomUUID());
      await this.provider?.files('appendFile', { sessionId: id, path: '/state/events.jsonl', content: `${event}\n`, mode: 384 });
      connection.event(id, eventOf('session.idle', randomUUID(), '"ephemeral":true,'));
    }));
  }
}

export class Connection {
  private readonly splitter = new Splitter((buffer, start, end) => this.receive(buffer, start, end));
  private readonly asked = new Map<number, () => void>();
  private answers: Buffer[] = [];
  private lastId = 0;

  constructor(private readonly backend: Backend, readonly socket: net.Socket) {
    socket.on('data', (chunk) => {
      this.splitter.push(chunk);
      if (this.answers.length > 0) socket.write(this.answers.length === 1 ? this.answers[0]! : Buffer.concat(this.answers));
      this.answers = [];
    });
    socket.on('close', () => backend.connections.delete(this));
  }

  event(sessionId: string, event: string): void {
    this.socket.write(frameOf(`{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"${sessionId}","event":${event}}}`));
  }

  /** A request for a session's files. */
  files(operation: string, params: object): Promise<void> {
    const id = ++this.lastId;
    this.socket.write(frameOf(JSON.stringify({ jsonrpc: '2.0', id, method: `sessionFs.${operation}`, params })));
    return new Promise((resolve) => this.asked.set(id, resolve));
  }

  private receive(buffer: Buffer, start: number, end: number): void {
    if (this.answerQuickly(buffer, start, end)) return;
    // A large prompt is not kept whole.
    const { id, method, params } = JSON.parse(whole(buffer.toString('utf8', start, end))) as Message;
    if (id === undefined) return;
    if (method === undefined) {
      this.asked.get(id as number)?.();
      this.asked.delete(id as number);
    } else void this.answerTo(method, params?.sessionId).then((result) => this.answer(id, result, method, params?.sessionId));
  }

  /** The request that most of the load consists of. */
  private answerQuickly(buffer: Buffer, start: number, end: number): boolean {
    let at = start + ID_AT;
    while (at < end && buffer[at] !== 0x2c) at++;
    const method = at + METHOD_AT;
    const params = method + METHOD.length;
    if (params >= end || buffer.toString('latin1', method, params) !== METHOD) return false;
    const session = params + PARAMS.length;
    const id = buffer.toString('latin1', start + ID_AT, at);
    const sessionId = buffer.toString('latin1', session, buffer.indexOf(0x22, session));
    this.answers.push(frameOf(`{"jsonrpc":"2.0","id":${id},"result":{"sessionId":"${sessionId}","processing":false}}`));
    return true;
  }

  private answer(id: number | string, result: object, method: string, sessionId = ''): void {
    this.socket.write(frameOf(JSON.stringify({ jsonrpc: '2.0', id, result })));
    if (method === 'session.send') this.event(sessionId, eventOf('user.message', randomUUID()));
  }

  private async answerTo(method: string, sessionId = ''): Promise<object> {
    switch (method) {
      case 'connect':
        return CONNECT;
      case 'ping':
        return { message: 'pong', timestamp: new Date().toISOString(), protocolVersion: 3 };
      case 'session.send':
        return { messageId: randomUUID() };
      case 'session.create':
        this.backend.add(sessionId, this);
        await this.backend.provider?.files('appendFile', { sessionId, path: '/state/events.jsonl', content: '{"type":"session.start","data":{},"id":"1"}\n' });
        return { sessionId, isRemote: false, capabilities: { ui: { elicitation: false } } };
      case 'sessionFs.setProvider':
        this.backend.provider = this;
        return {};
      default:
        return { success: true };
    }
  }
}

function eventOf(type: string, id: string, more = ''): string {
  return `{"type":"${type}","data":{},${more}"id":"${id}","timestamp":"2026-01-01T00:00:00.000Z","parentId":"00000000-0000-4000-8000-000000000001"}`;
}

/** Of a frame whose end was not kept, what can be known: it is a `session.send`, with its prompt last. */
function whole(text: string): string {
  return text.endsWith('}') ? text : `${text.replace(/\\$/, '')}"}}`;
}
