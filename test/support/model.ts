/**
 * A stand-in for a model provider: the chat completions of OpenAI over HTTP, on loopback. It needs
 * no account and answers what the prompt tells it to, so that a test says everything in one place:
 *
 *   hello                        → "answer 1: hello" (1: the number of user messages in the history)
 *   [[say:TEXT]]                 → TEXT
 *   [[tool:NAME {"a":1}]]        → a call of that tool; several are made one after the other, and then
 *                                  "tools said: RESULT | RESULT" (arguments may not contain "]]")
 *   [[together:1]]               → those tools are called all at once
 *   [[stream:N]]                 → N deltas "d0 ", "d1 ", … where streaming was asked for
 *   [[slow:MS]]                  → that pause before each delta
 *   [[hold:KEY]]                 → waits for release(KEY): before anything, or with [[stream:N]] after
 *                                  the first delta
 *   [[error:STATUS]]             → that HTTP status
 *
 * The runtime asks with `stream: true` in sessions that stream, and without in the others: both work.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { ask, promptOf, type Ask, type ChatMessage } from './prompt.js';

export interface ModelRequest {
  /** The whole history as it arrived, system message first. */
  readonly messages: readonly ChatMessage[];
  readonly stream: boolean;
  /** Names of the tools offered. */
  readonly tools: readonly string[];
  /** Text of the last user message without what the runtime puts around it. */
  readonly prompt: string;
  readonly model: string;
}

interface Completion {
  readonly model?: string;
  readonly messages: ChatMessage[];
  readonly stream?: boolean;
  /** A tool with a grammar instead of a schema has its name elsewhere. */
  readonly tools?: { readonly function?: { readonly name: string }; readonly custom?: { readonly name: string }; readonly name?: string }[];
}

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export class Model {
  /** Every request, oldest first. */
  readonly requests: ModelRequest[] = [];
  private readonly gates = new Map<string, Gate>();
  private readonly waiting = new Set<() => void>();

  private constructor(private readonly server: http.Server) {}

  static async start(): Promise<Model> {
    const server = http.createServer();
    const model = new Model(server);
    server.on('request', (request, response) => void model.serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return model;
  }

  /** The `baseUrl` of a session's provider. */
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  /** Lets every request pass that waits, or will wait, for this key. */
  release(key: string): void {
    this.gate(key).open();
  }

  /** The requests whose last user message contains a text, oldest first. */
  about(text: string): ModelRequest[] {
    return this.requests.filter((request) => request.prompt.includes(text));
  }

  /** Waits until the `count`th request whose last user message contains the text has arrived. */
  async asked(text: string, count = 1): Promise<ModelRequest> {
    for (;;) {
      const found = this.about(text)[count - 1];
      if (found) return found;
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
  }

  async stop(): Promise<void> {
    for (const gate of this.gates.values()) gate.open();
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private gate(key: string): Gate {
    let gate = this.gates.get(key);
    if (!gate) {
      let open = (): void => {};
      const opened = new Promise<void>((resolve) => (open = resolve));
      gate = { opened, open };
      this.gates.set(key, gate);
    }
    return gate;
  }

  private async serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (!request.url?.endsWith('/chat/completions')) {
      response.writeHead(404).end();
      return;
    }
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Completion;
    this.requests.push({
      messages: body.messages,
      stream: body.stream === true,
      tools: (body.tools ?? []).map((tool) => tool.function?.name ?? tool.custom?.name ?? tool.name ?? ''),
      prompt: promptOf(body.messages),
      model: body.model ?? '',
    });
    for (const wake of this.waiting) wake();
    this.waiting.clear();
    const wanted = ask(body.messages);
    if (wanted.status !== undefined) {
      response.writeHead(wanted.status, { 'content-type': 'application/json' });
      response.end('{"error":{"message":"the stand-in model was told to fail"}}');
    } else if (body.stream === true) {
      await this.stream(response, wanted);
    } else {
      await this.whole(response, wanted);
    }
  }

  private async whole(response: http.ServerResponse, wanted: Ask): Promise<void> {
    if (wanted.hold !== undefined) await this.gate(wanted.hold).opened;
    const message = { role: 'assistant', content: wanted.calls.length > 0 ? null : wanted.parts.join(''), ...toolCalls(wanted) };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({
      ...envelope('chat.completion'),
      choices: [{ index: 0, message, finish_reason: wanted.calls.length > 0 ? 'tool_calls' : 'stop' }],
      usage: USAGE,
    }));
  }

  private async stream(response: http.ServerResponse, wanted: Ask): Promise<void> {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const chunk = (delta: object, finish: string | null = null, more: object = {}): void => {
      const choices = [{ index: 0, delta, finish_reason: finish }];
      response.write(`data: ${JSON.stringify({ ...envelope('chat.completion.chunk'), choices, ...more })}\n\n`);
    };
    const early = wanted.streams ? wanted.parts.slice(0, 1) : [];
    for (const content of early) chunk({ role: 'assistant', content });
    if (wanted.hold !== undefined) await this.gate(wanted.hold).opened;
    for (const content of wanted.calls.length > 0 ? [] : wanted.parts.slice(early.length)) {
      if (wanted.pause > 0) await new Promise((resolve) => setTimeout(resolve, wanted.pause));
      if (response.destroyed) return;
      chunk({ role: 'assistant', content });
    }
    if (wanted.calls.length > 0) chunk({ role: 'assistant', ...toolCalls(wanted) });
    chunk({}, wanted.calls.length > 0 ? 'tool_calls' : 'stop', { usage: USAGE });
    response.end('data: [DONE]\n\n');
  }
}

const USAGE = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };

let calls = 0;

function toolCalls(wanted: Ask): object {
  if (wanted.calls.length === 0) return {};
  const made = wanted.calls.map(({ name, args }, index) => ({
    index, id: `call_${++calls}`, type: 'function', function: { name, arguments: args },
  }));
  return { tool_calls: made };
}

function envelope(object: string): object {
  return { id: 'chatcmpl-1', object, created: 1, model: 'gpt-4.1' };
}
