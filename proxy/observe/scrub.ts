/**
 * Takes secrets out of text that Skyport did not write itself: what a CLI server printed, what an
 * error says. The log picks its fields one by one and none of them is a secret; this is for the
 * inside of the fields that hold somebody else's words.
 */

/** Characters of foreign text that one log line keeps. */
const TEXT_MAX = 2000;

const SECRETS: ReadonlyArray<readonly [RegExp, string]> = [
  [/\b(bearer|basic)\s+[^\s"',;]+/gi, '$1 [redacted]'],
  // `"apiKey": "x"`, `token=x`, `COPILOT_CONNECTION_TOKEN=x`: the name stays, the value goes.
  [/([\w-]{0,40}(?:token|api[_-]?key|authorization|password|secret|sha256|prompt)["']?\s*[=:]\s*)("(?:[^"\\]|\\.)*"?|'[^']*'?|(?!\[redacted\])(?!(?:bearer|basic)\s)[^\s,;}"']+)/gi, '$1[redacted]'],
  [/\b(?:gh[a-z]_|github_pat_|sk-|skp_)[A-Za-z0-9_-]{8,}/g, '[redacted]'],
  // Credentials in a URL.
  [/(\b[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@]+@/gi, '$1[redacted]@'],
];

/** The text without what looks like a secret, and cut to 2000 characters. */
export function scrubText(text: string): string {
  // Cut first, so that a huge line costs no more than a long one.
  let result = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
  for (const [pattern, replacement] of SECRETS) result = result.replace(pattern, replacement);
  return result;
}

export interface LoggedError {
  type: string;
  message: string;
  /** The stack's frames, without the message that V8 repeats on top of them. */
  frames?: string[];
}

/**
 * An error as the log shows it. `JSON.parse` quotes the text that it could not read, which may be a
 * prompt, so the message of a SyntaxError is not kept.
 */
export function scrubError(error: unknown): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: scrubText(String(error)) };
  const message = error instanceof SyntaxError ? 'text that could not be parsed' : scrubText(error.message);
  const frames = error.stack?.split('\n').map((line) => line.trim()).filter((line) => line.startsWith('at '));
  return { type: error.name, message, frames };
}
