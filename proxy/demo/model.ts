/**
 * A stand-in for a model provider, so that the demo needs no account: OpenAI's chat completions over
 * HTTP, on loopback. Like a real model it knows nothing but the history that comes with each request:
 *
 *   "Remember: X."            → "Noted: X." and how many messages the history has
 *   "What do you remember?"   → every X that the history holds
 *   "Tell me about …"         → a few sentences, in pieces; after the first piece it may be held up
 *
 * The runtime asks with `stream: true` in sessions that stream and without in others (measured, 1.0.85).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ModelRequest {
  /** The last thing that the user said. */
  readonly prompt: string;
  /** All that the user has said, the oldest first. */
  readonly said: readonly string[];
  /** Messages of user and assistant in the history, the last one included. */
  readonly messages: number;
  readonly stream: boolean;
}

interface ChatMessage {
  readonly role: string;
  readonly content?: string | null | readonly { readonly text?: string }[];
}

interface Completion {
  readonly messages: readonly ChatMessage[];
  readonly stream?: boolean;
}

export class StandInModel {
  /** Every request, the oldest first. */
  readonly requests: ModelRequest[] = [];
  private held: Promise<void> | undefined;
  private release: () => void = () => undefined;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<StandInModel> {
    const server = createServer();
    const model = new StandInModel(server);
    server.on('request', (request, response) => {
      // A server that is killed takes its connections along.
      model.answer(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return model;
  }

  /** The `baseUrl` of a session's provider. */
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  /** From now on long answers stop after their first piece. */
  hold(): void {
    this.held = new Promise((resolve) => { this.release = resolve; });
  }

  /** Lets all of them go on. */
  letGo(): void {
    this.release();
    this.held = undefined;
  }

  /** The requests with this prompt, the oldest first. */
  asked(prompt: string): ModelRequest[] {
    return this.requests.filter((request) => request.prompt === prompt);
  }

  stop(): Promise<void> {
    this.letGo();
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    if (request.method !== 'POST' || !request.url?.endsWith('/chat/completions')) {
      response.writeHead(404).end();
      return;
    }
    const { messages, stream = false } = JSON.parse(Buffer.concat(chunks).toString()) as Completion;
    const spoken = messages.filter(({ role }) => role === 'user' || role === 'assistant');
    const said = spoken.filter(({ role }) => role === 'user').map(textOf);
    const prompt = said.at(-1) ?? '';
    this.requests.push({ prompt, said, messages: spoken.length, stream });
    const pieces = replyTo(prompt, said, spoken.length);
    if (stream) await this.stream(response, pieces);
    else await this.whole(response, pieces);
  }

  private async whole(response: ServerResponse, pieces: readonly string[]): Promise<void> {
    if (pieces.length > 1) await this.held;
    const message = { role: 'assistant', content: pieces.join('') };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({
      ...envelope('chat.completion'), choices: [{ index: 0, message, finish_reason: 'stop' }], usage: USAGE,
    }));
  }

  private async stream(response: ServerResponse, pieces: readonly string[]): Promise<void> {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const send = (delta: object, finish: string | null, more: object = {}) => {
      const choices = [{ index: 0, delta, finish_reason: finish }];
      response.write(`data: ${JSON.stringify({ ...envelope('chat.completion.chunk'), choices, ...more })}\n\n`);
    };
    for (const [i, content] of pieces.entries()) {
      if (i === 1) await this.held;
      send({ role: 'assistant', content }, null);
    }
    send({}, 'stop', { usage: USAGE });
    response.end('data: [DONE]\n\n');
  }
}

/** What a user wrote, without what the runtime puts around it. */
function textOf({ content }: ChatMessage): string {
  const text = typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join('\n');
  return text.replace(/<(\w+)>[\s\S]*?<\/\1>/g, '').trim();
}

/** @returns the pieces in which it is said */
function replyTo(prompt: string, said: readonly string[], messages: number): string[] {
  const facts = said.flatMap((text) => [...text.matchAll(/^Remember: (.+)\.$/gm)].map((match) => match[1]!));
  const told = /^Remember: (.+)\.$/m.exec(prompt);
  if (told) return [`Noted: ${told[1]}. (${counted(messages)} so far)`];
  if (/remember\?$/.test(prompt)) {
    const list = facts.length === 0 ? 'nothing yet' : facts.join('; ');
    return [`You told me: ${list}. (${counted(messages)} so far)`];
  }
  const topic = /^Tell me about (.+)\.$/m.exec(prompt)?.[1] ?? 'it';
  return [
    `Well, about ${topic}: `, 'it begins quietly, ', 'it goes on for a while, ', 'and it ends well.',
  ];
}

function counted(messages: number): string {
  return messages === 1 ? '1 message' : `${messages} messages`;
}

const USAGE = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };

function envelope(object: string): object {
  return { id: 'chatcmpl-demo', object, created: 1, model: 'stand-in' };
}
