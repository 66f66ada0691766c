/**
 * Somebody who works while others attack: she streams and calls, answers her servers' questions, and
 * keeps account, so that one missing, foreign or misplaced message is seen.
 */
import type { FakeServer } from './fake-server.js';
import type { WireClient, WireMessage } from './wire-client.js';

/** In everything that is hers and that nobody else may ever see. */
export const SECRET = 'alice-secret';

const CALLS = ['session.send', 'session.log', 'session.name.set'] as const;

/** Has a fake server answer the victim's calls with what it was sent. */
export function echo(fake: FakeServer): void {
  for (const method of CALLS) fake.answer(method, ({ params }) => ({ result: { messageId: 'm', echo: params } }));
}

export class Victim {
  readonly mistakes: string[] = [];
  calls = 0;
  events = 0;
  /** Where her servers' questions went. */
  readonly asked: { connection: number; id: number; fake: FakeServer }[] = [];
  private working = true;
  private readonly work: Promise<unknown>[] = [];
  private sequence = 0;

  /** @param fakes all of them: whichever has a session sends its events */
  constructor(private readonly fakes: readonly FakeServer[], private readonly clients: readonly WireClient[], private readonly sessionIds: readonly string[]) {
    for (const client of clients) client.onRequest = (request) => client.answer(request, { of: SECRET, question: request.params?.question });
  }

  /** Works until `rest`. */
  start(): void {
    this.work.push(this.stream(), ...this.clients.map((client) => this.call(client)));
  }

  /** Stops and closes the account. */
  async rest(): Promise<void> {
    this.working = false;
    await Promise.all(this.work);
    const last = { sequence: this.sequence };
    for (const client of this.clients) {
      for (const sessionId of this.sessionIds) {
        await client.until(({ params }) => params?.sessionId === sessionId && dataOf(params.event)?.sequence === last.sequence - 1);
        const got = client.events(sessionId).map(({ data }) => data.sequence);
        const misplaced = got.findIndex((sequence, index) => sequence !== index);
        if (misplaced >= 0 || got.length !== this.sequence) this.mistakes.push(`${sessionId}: ${got.length} of ${this.sequence} events, out of order from ${misplaced}`);
      }
      const foreign = client.notifications().filter(({ params }) => !this.sessionIds.includes(String(params?.sessionId)));
      for (const { params } of foreign) this.mistakes.push(`heard of ${String(params?.sessionId)}`);
    }
    await this.untilAnswered();
  }

  /** Is this request, as a server got it, one that she made? */
  owns({ method, params }: { readonly method: string; readonly params: { readonly [name: string]: unknown } }): boolean {
    if (method === 'session.create' || method === 'session.resume') return params.model === SECRET;
    return JSON.stringify([params.prompt, params.message, params.name]).includes(SECRET);
  }

  /** Events and lifecycle news of her sessions, and now and then a question. */
  private async stream(): Promise<void> {
    while (this.working) {
      for (const fake of this.fakes) {
        for (const sessionId of this.sessionIds) {
          fake.event(sessionId, 'assistant.message_delta', { sequence: this.sequence, deltaContent: SECRET });
          if (this.sequence % 10 === 0) fake.broadcast('session.lifecycle', { type: 'session.updated', sessionId, metadata: { summary: SECRET } });
          if (this.sequence % 10 !== 5) continue;
          for (const where of fake.ask(sessionId, 'userInput.request', { question: `${SECRET} ${this.sequence}` })) this.asked.push({ ...where, fake });
        }
      }
      this.sequence++;
      this.events = this.sequence * this.sessionIds.length * this.clients.length;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  private async call(client: WireClient): Promise<void> {
    while (this.working) {
      const sessionId = this.sessionIds[this.calls % this.sessionIds.length]!;
      const method = CALLS[this.calls % CALLS.length]!;
      const mark = `${SECRET} ${this.calls++}`;
      const key = { 'session.send': 'prompt', 'session.log': 'message', 'session.name.set': 'name' }[method];
      const answer = await client.call(method, { sessionId, [key]: mark });
      if (!isEcho(answer, sessionId, key, mark)) this.mistakes.push(`${method} was answered ${JSON.stringify(answer)}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Every question is answered once, by each client of hers that was asked. */
  private async untilAnswered(): Promise<void> {
    for (const fake of this.fakes) {
      const asked = this.asked.filter((one) => one.fake === fake);
      for (;;) {
        const answers = new Map<string, string[]>();
        for (const { connection, text } of fake.answers) {
          const key = `${connection} ${/"id":(\d+)/.exec(text)?.[1]}`;
          answers.set(key, [...(answers.get(key) ?? []), text]);
        }
        const found = asked.map(({ connection, id }) => answers.get(`${connection} ${id}`) ?? []);
        if (found.every((texts) => texts.length > 0)) {
          const wrong = found.filter(([first, ...more]) => more.length > 0 || !first!.includes(SECRET));
          this.mistakes.push(...wrong.map((texts) => `a question was answered ${texts.join(' ')}`));
          break;
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

function isEcho({ result }: WireMessage, sessionId: string, key: string, mark: string): boolean {
  const echoed = (result as { echo?: Record<string, unknown> } | undefined)?.echo;
  return echoed?.sessionId === sessionId && echoed[key] === mark;
}

function dataOf(event: unknown): { sequence?: number } | undefined {
  return (event as { data?: { sequence?: number } } | undefined)?.data;
}
