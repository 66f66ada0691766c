/**
 * A stand-in for a CLI server, in a process of its own, that turns.ts loads: on the wire it is what a
 * runtime is (1.0.85, recorded in a session that streams), without a model or an agent.
 *
 *   a turn    the events below, one step each 5 ms; `session.lifecycle` on every connection
 *   its state while Skyport is its session file system: `late` is what the runtime does in the turns of a
 *             session but its first, one append of what is to be stored; `first` is more than it does in the first:
 *             workspace.yaml read, written anew and read again, two appends of 2 KB and of 6 KB.
 *             `session.idle` waits for the last append.
 *
 * Forked with the shape as its argument; sends `{port}`.
 */
import { randomUUID } from 'node:crypto';
import net, { type AddressInfo } from 'node:net';
import { frame, FrameReader } from '../test/support/framing.js';

export type Shape = 'late' | 'first';

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly sessionId?: string };
}

/** Type, bytes of its `data`, and whether it is stored. */
type Kind = readonly [type: string, bytes: number, stored?: 'stored'];

const BEGIN: readonly Kind[] = [
  ['pending_messages.modified', 20], ['pending_messages.modified', 20], ['session.mcp_servers_loaded', 20], ['session.tools_updated', 20],
  ['user.message', 400, 'stored'], ['system.message', 18_200], ['session.usage_info', 150], ['model.turn_started', 450],
  ['assistant.turn_start', 80, 'stored'], ['model.log', 100], ['model.call_start', 40], ['model.model_call_started', 470], ['assistant.message_start', 60],
];
const STREAMED: readonly Kind[] = [['assistant.streaming_delta', 40], ['assistant.message_delta', 90]];
const END: readonly Kind[] = [
  ['assistant.usage', 650], ['model.call_finished', 190], ['model.model_call_success', 950], ['model.message', 360],
  ['assistant.message', 300, 'stored'], ['model.response', 170], ['model.turn_ended', 450], ['assistant.turn_end', 30, 'stored'],
  ['model.messages_snapshot', 19_000], ['assistant.idle', 20],
];
const PIECES = 8;
const STEP_MS = 5;
const LIFECYCLES = 4;

/** On the wire and not said to be ephemeral, but stored in the first turn only. */
const NOT_SAID = 'system.message';

const WORKSPACE = `id: x\n${'key: value\n'.repeat(27)}`;
const NOTE = 2_000;
const LONG = 6_000;

const shape = process.argv[2] as Shape;
const connections = new Set<Connection>();
const sessions = new Map<string, Connection>();
const running = new Set<Turn>();
/** Sessions that have had a turn. */
const prompted = new Set<string>();
let provider: Connection | undefined;

class Connection {
  private readonly reader = new FrameReader();
  private readonly asked = new Map<number, () => void>();
  private lastId = 0;

  constructor(private readonly socket: net.Socket) {
    socket.on('data', (chunk) => this.reader.push(chunk).forEach((text) => this.receive(JSON.parse(text) as Message)));
    socket.on('error', () => undefined);
    socket.on('close', () => connections.delete(this));
  }

  write(frames: Buffer): void {
    this.socket.write(frames);
  }

  /** A request for a session's files. */
  files(operation: string, params: object): Promise<void> {
    const id = ++this.lastId;
    this.write(frame(JSON.stringify({ jsonrpc: '2.0', id, method: `sessionFs.${operation}`, params })));
    return new Promise((resolve) => this.asked.set(id, resolve));
  }

  private receive({ id, method, params }: Message): void {
    if (id === undefined) return;
    if (method === undefined) {
      this.asked.get(id)?.();
      this.asked.delete(id);
      return;
    }
    void this.answerTo(method, params?.sessionId).then((result) => {
      this.write(frame(JSON.stringify({ jsonrpc: '2.0', id, result })));
      if (method === 'session.send') running.add(new Turn(params!.sessionId!));
    });
  }

  private async answerTo(method: string, sessionId = ''): Promise<object> {
    switch (method) {
      case 'connect':
        return { ok: true, protocolVersion: 3, version: '1.0.85', taskKinds: ['agent', 'shell'] };
      case 'ping':
        return { message: 'pong', timestamp: new Date().toISOString(), protocolVersion: 3 };
      case 'session.send':
        return { messageId: randomUUID() };
      case 'session.create':
        sessions.set(sessionId, this);
        await provider?.files('writeFile', { path: '/state/workspace.yaml', content: WORKSPACE, sessionId });
        await provider?.files('appendFile', { path: '/state/events.jsonl', content: '{"type":"session.start","data":{},"id":"1"}\n', sessionId });
        return { sessionId, isRemote: false, capabilities: { ui: { elicitation: false } } };
      case 'sessionFs.setProvider':
        provider = this;
        return {};
      default:
        return { success: true };
    }
  }
}

class Turn {
  private step = 0;
  private readonly connection: Connection;
  private readonly saved: Promise<unknown>[] = [];
  private readonly isFirst: boolean;
  private lines = '';

  constructor(private readonly sessionId: string) {
    this.connection = sessions.get(sessionId)!;
    this.isFirst = !prompted.has(sessionId);
    prompted.add(sessionId);
  }

  /** @returns false when it is over */
  go(): boolean {
    const step = this.step++;
    if (step === 0) {
      this.emit(BEGIN);
      this.tell();
      if (shape === 'first') this.saved.push(this.open());
      return true;
    }
    if (step <= PIECES) {
      this.emit(STREAMED);
      return true;
    }
    if (step === PIECES + 1) {
      this.emit(END);
      this.tell();
      this.save(shape === 'first' ? LONG : 0);
      // With a disk of its own it is a moment later, too, that the last event is stored.
      if (!provider) return true;
    }
    void Promise.all(this.saved).then(() => this.emit([['session.idle', 20]]));
    return false;
  }

  private emit(kinds: readonly Kind[]): void {
    const frames = kinds.map(([type, bytes, stored]) => {
      const data = `{"content":"${'x'.repeat(bytes)}"}`;
      const ephemeral = stored || type === NOT_SAID ? '' : '"ephemeral":true,';
      const event = `{"type":"${type}","data":${data},${ephemeral}"id":"${randomUUID()}","timestamp":"2026-01-01T00:00:00.000Z","parentId":"${this.sessionId}"}`;
      if (stored || (type === NOT_SAID && this.isFirst)) this.lines += `${event}\n`;
      return frame(`{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"${this.sessionId}","event":${event}}}`);
    });
    this.connection.write(Buffer.concat(frames));
  }

  /** News of the session for everybody. */
  private tell(): void {
    const news = frame(JSON.stringify({
      jsonrpc: '2.0', method: 'session.lifecycle',
      params: { type: 'session.updated', sessionId: this.sessionId, metadata: { startTime: '2026-01-01T00:00:00.000Z', modifiedTime: '2026-01-01T00:00:00.000Z' } },
    }));
    for (const connection of connections) for (let i = 0; i < LIFECYCLES / 2; i++) connection.write(news);
  }

  private async open(): Promise<void> {
    const { sessionId } = this;
    if (!provider) return;
    const [path, draft] = ['/state/workspace.yaml', `/state/workspace.yaml.tmp.${randomUUID()}`];
    await provider.files('readFile', { path, sessionId });
    await provider.files('writeFile', { path: draft, content: WORKSPACE, mode: 384, sessionId });
    await provider.files('rename', { src: draft, dest: path, sessionId });
    await provider.files('readFile', { path, sessionId });
    this.save(NOTE);
  }

  /** @param more bytes beside the events */
  private save(more: number): void {
    if (!provider) return;
    const content = more === 0 ? this.lines : `${this.lines}{"type":"model.note","data":"${'x'.repeat(more)}"}\n`;
    this.lines = '';
    this.saved.push(provider.files('appendFile', { path: '/state/events.jsonl', content, mode: 384, sessionId: this.sessionId }));
  }
}

setInterval(() => {
  for (const turn of running) if (!turn.go()) running.delete(turn);
}, STEP_MS);

const server = net.createServer({ noDelay: true }, (socket) => connections.add(new Connection(socket)));
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));
