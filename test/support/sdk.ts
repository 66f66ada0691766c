/** SDK clients as applications make them, with a model of their own, and what a session said during a turn. */
import {
  approveAll, CopilotClient, RuntimeConnection,
  type CopilotSession, type MessageOptions, type ProviderConfig, type SessionConfig, type SessionEvent,
} from '@github/copilot-sdk';
import { CopilotClient as LegacyClient } from 'copilot-sdk-legacy';
import type { Model } from './model.js';

/** @param address `host:port` */
export function sdkClient(address: string, token?: string): CopilotClient {
  return new CopilotClient({ connection: RuntimeConnection.forUri(address, { connectionToken: token }), logLevel: 'none' });
}

/** An SDK from before 1.0, which cannot send a token. */
export function legacyClient(address: string): LegacyClient {
  return new LegacyClient({ cliUrl: address });
}

/** The stand-in model as a session's own provider, so that no account is needed. */
export function providerOf(model: Model): ProviderConfig {
  return { type: 'openai', baseUrl: model.url, apiKey: 'a-key' };
}

/** What every session of the tests has in common. */
export function sessionConfig(model: Model, more: Partial<SessionConfig> = {}): SessionConfig {
  return { model: 'gpt-4.1', provider: providerOf(model), onPermissionRequest: approveAll, ...more };
}

/** The little that the two generations of sessions have in common. */
export interface Talker {
  on(handler: (event: SessionEvent) => void): () => void;
  send(options: MessageOptions): Promise<string>;
}

/** Everything a session says, in the order it comes. */
export class Recording {
  readonly events: SessionEvent[] = [];
  private readonly watchers = new Set<() => void>();
  private readonly resumes = new Set<string>();

  constructor(session: Pick<Talker, 'on'>) {
    session.on((event) => {
      if (this.isRepeated(event)) return;
      this.events.push(event);
      for (const wake of this.watchers) wake();
      this.watchers.clear();
    });
  }

  /** To whoever resumes a session that is in use, runtime 1.0.85 may send the same `session.resume` twice, up to 100 ms apart. */
  private isRepeated({ type, id }: SessionEvent): boolean {
    if (type !== 'session.resume') return false;
    const repeated = this.resumes.has(id);
    this.resumes.add(id);
    return repeated;
  }

  of<T extends SessionEvent['type']>(type: T): Extract<SessionEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<SessionEvent, { type: T }> => event.type === type);
  }

  /** The `count`th event of a type, past ones included. */
  async until<T extends SessionEvent['type']>(type: T, count = 1): Promise<Extract<SessionEvent, { type: T }>> {
    for (;;) {
      const found = this.of(type)[count - 1];
      if (found) return found;
      await new Promise<void>((resolve) => this.watchers.add(resolve));
    }
  }

  /** The types of the events that tell what happened; the noise around them is left out. */
  get story(): string[] {
    return this.events.map((event) => event.type).filter((type) => STORY.has(type));
  }

  /** The texts that the assistant said. */
  get texts(): string[] {
    return this.of('assistant.message').map((event) => event.data.content).filter((text) => text !== '');
  }

  /** The last thing the assistant said. */
  get text(): string | undefined {
    return this.texts.at(-1);
  }
}

const STORY = new Set([
  'user.message', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end', 'tool.execution_start',
  'tool.execution_complete', 'external_tool.requested', 'permission.requested', 'permission.completed',
  'user_input.requested', 'user_input.completed', 'elicitation.requested', 'elicitation.completed',
  'abort', 'session.error', 'session.idle', 'session.resume', 'session.shutdown',
]);

/** Sends a message. @returns what the session said from then until it was idle */
export async function turn(session: Talker, message: string | MessageOptions): Promise<Recording> {
  const recording = new Recording(session);
  await session.send(typeof message === 'string' ? { prompt: message } : message);
  await recording.until('session.idle');
  return recording;
}

export type { CopilotClient, CopilotSession, LegacyClient };
