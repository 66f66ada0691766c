/** Two Skyports on one redis-server, each with CLI servers of its own; and what both of them show and store. */
import { expect } from 'vitest';
import { textOf } from './prompt.js';
import { RedisServer, type RedisOptions } from './redis.js';
import type { Scope } from './scope.js';
import type { CopilotSession, Recording } from './sdk.js';
import { Site } from './site.js';
import type { ConfigFile } from './skyport.js';

/** `store.lease` of these tests, milliseconds. */
export const LEASE = 2_000;

export interface Two {
  readonly redis: RedisServer;
  readonly sites: readonly [Site, Site];
}

export interface TwoOptions extends RedisOptions {
  /** Top-level keys of both configurations. */
  readonly config?: ConfigFile;
  /** More of `store`. */
  readonly store?: ConfigFile;
}

export async function startTwo(scope: Scope, { config = {}, store = {}, ...options }: TwoOptions = {}): Promise<Two> {
  const redis = await RedisServer.start(options);
  scope.after(() => redis.stop());
  const both = { store: { driver: 'redis', url: redis.url, path: './data', lease: `${LEASE}ms`, ...store }, ...config };
  const one = await Site.start(scope, { managed: 1, config: both });
  const two = await Site.start(scope, { managed: 1, config: both, model: one.model });
  for (const site of [one, two]) await site.until(({ others = [] }) => others.some(({ state }) => state === 'up'));
  return { redis, sites: [one, two] };
}

/** What the user said, as the model was shown it when it was asked this last. */
export function shown(site: Site, prompt: string): string[] {
  const { messages } = site.model.about(prompt).at(-1)!;
  return messages.filter(({ role }) => role === 'user').map((message) => textOf(message).replace(/^<current_datetime>.*?\n\n/s, ''));
}

/** Has bob write to a session, too. */
export async function shareWithBob(site: Site, { sessionId }: CopilotSession): Promise<void> {
  const { code, stderr } = await site.skyport.cli(['share', sessionId, '--with', 'bob', '--as', 'writer', '--config', site.skyport.configFile]);
  expect([code, stderr]).toEqual([0, '']);
}

/** Waits until the assistant has said this, and the turn is over. */
export async function said(seen: Recording, text: string): Promise<void> {
  for (;;) {
    const at = seen.events.findIndex((event) => event.type === 'assistant.message' && event.data.content.includes(text));
    if (at >= 0 && seen.events.slice(at).some(({ type }) => type === 'session.idle')) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The conversation as it is stored: who said what, in order. */
export async function story(session: CopilotSession): Promise<string[]> {
  const events = await session.getEvents();
  return events.flatMap((event) => {
    if (event.type === 'user.message') return [`user: ${event.data.content}`];
    return event.type === 'assistant.message' && event.data.content !== '' ? [`assistant: ${event.data.content}`] : [];
  });
}
