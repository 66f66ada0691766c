/** One client of a real runtime: create, ping, a turn, detach, again and again. */
import { randomUUID } from 'node:crypto';
import net from 'node:net';
import { frame, FrameReader } from '../../test/support/framing.js';
import { Latencies, type Spread } from './latencies.js';
import { now } from './orders.js';

export const STEPS = ['create', 'ping', 'first_token', 'turn', 'detach'] as const;
export type Step = (typeof STEPS)[number];

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly sessionId?: string; readonly event?: { readonly type: string; readonly data?: { readonly content?: string } } };
  readonly error?: { readonly message: string };
}

export class Conversation {
  private readonly reader = new FrameReader();
  private readonly calls = new Map<number, (message: Message) => void>();
  private onEvent: (sessionId: string, type: string, content: string) => void = () => undefined;
  private lastId = 0;
  private readonly steps = Object.fromEntries(STEPS.map((step) => [step, new Latencies()])) as Record<Step, Latencies>;

  private constructor(private readonly socket: net.Socket, private readonly modelUrl: string) {
    socket.on('data', (chunk) => {
      for (const text of this.reader.push(chunk)) this.receive(JSON.parse(text) as Message);
    });
    socket.on('error', () => undefined);
  }

  static async open(address: { readonly host: string; readonly port: number }, modelUrl: string, token?: string): Promise<Conversation> {
    const socket = net.connect({ ...address, noDelay: true });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const conversation = new Conversation(socket, modelUrl);
    await conversation.call('connect', token === undefined ? {} : { token });
    return conversation;
  }

  async run({ seconds, atLeast }: { readonly seconds: number; readonly atLeast: number }): Promise<{ turns: number; wrong: string[]; steps: Record<Step, Spread> }> {
    const wrong = new Set<string>();
    const until = now() + seconds * 1000;
    let turns = 0;
    for (; turns < atLeast || now() < until; turns++) await this.once(wrong);
    const steps = Object.fromEntries(STEPS.map((step) => [step, this.steps[step].take()])) as Record<Step, Spread>;
    return { turns, wrong: [...wrong], steps };
  }

  close(): void {
    this.socket.destroy();
  }

  private async once(wrong: Set<string>): Promise<void> {
    const sessionId = `bench-${randomUUID()}`;
    const provider = { type: 'openai', baseUrl: this.modelUrl, apiKey: 'unused' };
    await this.timed('create', () => this.call('session.create', { sessionId, model: 'gpt-4.1', provider, streaming: true, requestPermission: true }));
    await this.timed('ping', () => this.call('ping', {}));
    const begun = now();
    let first = 0;
    let said = '';
    let whole = '';
    const idle = new Promise<void>((resolve) => {
      this.onEvent = (id, type, content) => {
        if (id !== sessionId) wrong.add('events of another session');
        if (type === 'assistant.message_delta') {
          first ||= now();
          said += content;
        } else if (type === 'assistant.message') whole = content;
        else if (type === 'session.idle') resolve();
      };
    });
    await this.call('session.send', { sessionId, prompt: 'Tell me about the sea.' });
    await idle;
    this.steps.turn.add(now() - begun);
    this.steps.first_token.add(first - begun);
    if (said !== whole || whole === '') wrong.add('a turn without its text, or with its pieces in another order');
    await this.timed('detach', () => this.call('session.detach', { sessionId }));
    this.onEvent = () => undefined;
    // A user may own a hundred sessions.
    await this.call('session.delete', { sessionId });
  }

  private async timed(step: Step, work: () => Promise<void>): Promise<void> {
    const begun = now();
    await work();
    this.steps[step].add(now() - begun);
  }

  private async call(method: string, params: object): Promise<void> {
    const id = ++this.lastId;
    this.socket.write(frame(JSON.stringify({ jsonrpc: '2.0', id, method, params })));
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<Message>((resolve, reject) => {
      this.calls.set(id, resolve);
      timer = setTimeout(() => reject(new Error(`${method} is not answered`)), 30_000);
    });
    clearTimeout(timer);
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
  }

  private receive(message: Message): void {
    const { id, method, params } = message;
    if (method === undefined) {
      this.calls.get(id!)?.(message);
      this.calls.delete(id!);
    } else if (method === 'session.event' && params?.event) {
      const { type, data } = params.event as { type: string; data?: { content?: string; deltaContent?: string } };
      this.onEvent(params.sessionId ?? '', type, data?.deltaContent ?? data?.content ?? '');
    }
  }
}
