/** Who plays: users with the real SDK, exactly as an application would use it, and their conversations. */
import {
  approveAll, CopilotClient, RuntimeConnection, type CopilotSession, type SessionConfig, type SessionEvent,
} from '@github/copilot-sdk';
import { BrokenStory, type Teller } from './teller.js';

/** Milliseconds for anything that should take a fraction of it. */
const PATIENCE = 15_000;

/** Waits for a promise, but not for ever. @param what completes "waited in vain for …" */
export async function within<T>(what: string, promise: Promise<T>, ms = PATIENCE): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new BrokenStory(`waited in vain for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** How a call was refused. */
export interface Refused {
  readonly message: string;
  /** What Skyport says about it: name and retryable. */
  readonly data?: { readonly name?: string; readonly retryable?: boolean };
}

/** The error that a call ends with. @throws BrokenStory when the call succeeds */
export async function refusalOf(what: string, call: Promise<unknown>): Promise<Refused> {
  const outcome = await within(what, call.then(() => undefined, (error: unknown) => error as Error & Refused));
  if (outcome === undefined) throw new BrokenStory(`${what} was not refused`);
  if (outcome instanceof BrokenStory) throw outcome;
  return { message: outcome.message, data: outcome.data };
}

export class User {
  readonly client: CopilotClient;

  constructor(readonly name: string, address: string, token: string, private readonly modelUrl: string, private readonly tell: Teller) {
    this.client = new CopilotClient({
      connection: RuntimeConnection.forUri(address, { connectionToken: token }),
      logLevel: 'none',
    });
  }

  /** What all sessions here have in common: the stand-in model as their own provider. */
  get config(): SessionConfig {
    return {
      model: 'stand-in',
      provider: { type: 'openai', baseUrl: this.modelUrl, apiKey: 'none-needed' },
      streaming: true,
      onPermissionRequest: approveAll,
    };
  }

  async converse(): Promise<Conversation> {
    const session = await within(`${this.name}'s session`, this.client.createSession(this.config));
    return new Conversation(this.name, session, this.tell);
  }

  /** The ids of the sessions that this user is told of. */
  async sessionIds(): Promise<string[]> {
    const list = await within(`${this.name}'s list of sessions`, this.client.listSessions());
    return list.map(({ sessionId }) => sessionId).sort();
  }

  async leave(): Promise<void> {
    await within(`${this.name} to disconnect`, this.client.forceStop()).catch(() => undefined);
  }
}

export class Conversation {
  private readonly events: SessionEvent[] = [];
  private readonly watchers = new Set<() => void>();

  constructor(readonly user: string, readonly session: CopilotSession, private readonly tell: Teller) {
    session.on((event) => {
      this.events.push(event);
      for (const wake of this.watchers) wake();
    });
  }

  get id(): string {
    return this.session.sessionId;
  }

  /** One turn, told as it goes. @returns what the model answered */
  async say(prompt: string): Promise<string> {
    this.tell.speech(this.user, prompt);
    const turn = await this.begin(prompt);
    const answer = await turn.end();
    this.tell.speech('model', answer.text);
    if (answer.error !== undefined) throw new BrokenStory(`${this.user}'s turn ended with an error: ${answer.error}`);
    return answer.text;
  }

  /** Begins a turn. What comes later is looked for among the events from here on. */
  async begin(prompt: string): Promise<Turn> {
    const from = this.events.length;
    await within(`an answer to ${this.user}'s send`, this.session.send({ prompt }));
    return new Turn(this.user, from, (type, start) => this.next(type, start), (start) => this.events.slice(start));
  }

  private async next(type: SessionEvent['type'], from: number): Promise<void> {
    while (!this.events.slice(from).some((event) => event.type === type)) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.watchers.delete(wake);
          resolve();
        };
        this.watchers.add(wake);
      });
    }
  }
}

export class Turn {
  constructor(
    private readonly user: string,
    private readonly from: number,
    private readonly next: (type: SessionEvent['type'], from: number) => Promise<void>,
    private readonly since: (from: number) => SessionEvent[],
  ) {}

  /** Waits until the model has said something. */
  async underWay(): Promise<void> {
    await within(`the first words for ${this.user}`, this.next('assistant.message_delta', this.from));
  }

  /** Waits for `session.idle`. */
  async end(): Promise<{ text: string; error?: string; pieces: number; messages: number }> {
    await within(`the end of ${this.user}'s turn`, this.next('session.idle', this.from));
    const events = this.since(this.from);
    const texts = events.flatMap((event) => (event.type === 'assistant.message' ? [event.data.content] : []));
    const error = events.find((event) => event.type === 'session.error');
    return {
      text: texts.filter((text) => text !== '').join(' '),
      pieces: events.filter((event) => event.type === 'assistant.message_delta').length,
      messages: events.filter((event) => event.type === 'user.message').length,
      error: error?.type === 'session.error' ? error.data.message : undefined,
    };
  }
}
