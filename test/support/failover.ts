/** For tests whose servers die: which of them has a session, and what is left of it afterwards. */
import { textOf } from './prompt.js';
import type { Scope } from './scope.js';
import type { CopilotClient, CopilotSession } from './sdk.js';
import { Site, type SiteOptions } from './site.js';

/** Two CLI servers, which keep nothing, behind a Skyport that keeps the sessions' state. */
export async function startPair(scope: Scope, more: SiteOptions = {}, sessions: object = {}): Promise<{ site: Site; client: CopilotClient }> {
  const site = await Site.start(scope, { servers: 2, config: { sessions: { state: 'skyport', ...sessions } }, ...more });
  return { site, client: site.client() };
}

/** Which of the servers, by its index, has the session. */
export async function serverOf(site: Site, { sessionId }: Pick<CopilotSession, 'sessionId'>): Promise<number> {
  const row = (await site.sessions()).find((one) => one.id === sessionId)!;
  return Number(row.backend.slice('cli-'.length)) - 1;
}

export async function killServerOf(site: Site, session: Pick<CopilotSession, 'sessionId'>): Promise<number> {
  const index = await serverOf(site, session);
  await site.servers[index]!.kill9();
  return index;
}

/** What the user said, as the model was shown it when it was asked this last. */
export function shown(site: Site, prompt: string): string[] {
  const { messages } = site.model.about(prompt).at(-1)!;
  return messages.filter(({ role }) => role === 'user').map((message) => textOf(message).replace(/^<current_datetime>.*?\n\n/s, ''));
}

/** The types of the stored events that tell the story. */
export async function stored(session: CopilotSession): Promise<string[]> {
  return (await session.getEvents()).map(({ type }) => type).filter((type) => type !== 'system.message');
}

/** What somebody waits for until it is let go. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => { open = resolve; });
  return { opened, open };
}
