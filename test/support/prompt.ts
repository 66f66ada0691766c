/** What a conversation asks of the stand-in model: the directives in its last user message (see model.ts). */

export interface ChatMessage {
  readonly role: string;
  readonly content: string | null | readonly { readonly type: string; readonly text?: string }[];
}

export interface Ask {
  /** The text of the answer, one entry for each delta. */
  readonly parts: readonly string[];
  readonly streams: boolean;
  /** The tools that are called at once; none in a last answer. */
  readonly calls: readonly { readonly name: string; readonly args: string }[];
  readonly hold?: string;
  /** Milliseconds before each delta. */
  readonly pause: number;
  readonly status?: number;
}

/** The text of a message, whatever shape its content has. */
export function textOf(message: ChatMessage): string {
  if (typeof message.content === 'string') return message.content;
  return (message.content ?? []).map((part) => part.text ?? '').join('\n');
}

/** The last user message as the user wrote it: the runtime puts the time before it. */
export function promptOf(messages: readonly ChatMessage[]): string {
  const last = messages.findLast((message) => message.role === 'user');
  return last ? textOf(last).replace(/^<current_datetime>[^<]*<\/current_datetime>\s*/, '') : '';
}

/** Reads what the conversation wants from the model next. */
export function ask(messages: readonly ChatMessage[]): Ask {
  const prompt = promptOf(messages);
  const directives = [...prompt.matchAll(/\[\[(\w+):([\s\S]*?\]?)\]\]/g)].map(([, name, value]) => ({ name, value: value ?? '' }));
  const one = (name: string): string | undefined => directives.find((directive) => directive.name === name)?.value;
  const base = {
    streams: one('stream') !== undefined,
    hold: one('hold'),
    pause: Number(one('slow') ?? 0),
    status: one('error') === undefined ? undefined : Number(one('error')),
  };
  const since = messages.slice(messages.findLastIndex((message) => message.role === 'user') + 1);
  const results = since.filter((message) => message.role === 'tool').map(textOf);
  const wanted = directives.filter((directive) => directive.name === 'tool');
  const next = wanted.slice(results.length, one('together') === undefined ? results.length + 1 : undefined);
  if (next.length > 0) return { ...base, parts: [], calls: next.map(({ value }) => callOf(value)) };
  return { ...base, calls: [], parts: parts(messages, prompt, results, one) };
}

function callOf(value: string): { name: string; args: string } {
  const [, name = '', args = ''] = /^(\w+)\s*([\s\S]*)$/.exec(value) ?? [];
  return { name, args: args === '' ? '{}' : args };
}

function parts(messages: readonly ChatMessage[], prompt: string, results: string[], one: (name: string) => string | undefined): string[] {
  const count = one('stream');
  if (count !== undefined) return Array.from({ length: Number(count) }, (_, index) => `d${index} `);
  if (results.length > 0) return [`tools said: ${results.join(' | ')}`];
  const turn = messages.filter((message) => message.role === 'user').length;
  return [one('say') ?? `answer ${turn}: ${prompt}`];
}
