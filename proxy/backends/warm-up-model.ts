/**
 * The model of a warm-up's one turn: OpenAI's chat completions over HTTP on loopback, at a random port, for whoever
 * shows the key, and for as long as the warm-up lasts. Whatever it is asked, it says the same word.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const DELTA = { id: 'warm-up', object: 'chat.completion.chunk', created: 0, model: 'warm-up' };
const ANSWER = [
  { ...DELTA, choices: [{ index: 0, delta: { role: 'assistant', content: 'Ready.' }, finish_reason: null }] },
  { ...DELTA, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('') + 'data: [DONE]\n\n';

/** Bytes of a question: the runtime's first one has some 40 KB. */
const MOST = 4 * 1024 * 1024;

export class WarmUpModel {
  /** A secret. */
  readonly key = randomBytes(32).toString('hex');

  private constructor(private readonly server: Server) {}

  /** @throws when there is no port to be had */
  static async start(): Promise<WarmUpModel> {
    const server = createServer();
    const model = new WarmUpModel(server);
    server.on('request', (request, response) => model.answer(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return model;
  }

  /** The `baseUrl` of the session's provider. */
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  /** Ends its connections, too. */
  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MOST) request.destroy();
    });
    request.on('error', () => response.destroy());
    request.on('end', () => {
      if (!this.knows(request.headers.authorization)) response.writeHead(401).end();
      else if (request.method !== 'POST' || request.url !== '/v1/chat/completions') response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': 'text/event-stream' }).end(ANSWER);
    });
  }

  private knows(authorization = ''): boolean {
    const [given, wanted] = [Buffer.from(authorization), Buffer.from(`Bearer ${this.key}`)];
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }
}
