/** What a command needs of the process it runs in; a test gives another. */

/** Exit codes of every command; documented in `skyport --help`. */
export const EXIT = {
  ok: 0,
  /** It was understood and did not work: no Skyport runs there, a config has mistakes, a time-out. */
  failed: 1,
  /** The command line, or the config that the command needs, is wrong. */
  usage: 2,
} as const;

export interface Terminal {
  /** Writes one text and a line end to stdout: what the command was asked for. */
  out(text: string): void;
  /** The same to stderr: everything else. */
  err(text: string): void;
  /** Width of the terminal; undefined when stdout is not one, and then nothing is cut. */
  columns: number | undefined;
  cwd: string;
  env: Record<string, string | undefined>;
  /** Milliseconds since the epoch. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** Ends a command with a message for the person at the terminal and without a stack. */
export class CommandError extends Error {
  override name = 'CommandError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The real one. */
export function processTerminal(): Terminal {
  return {
    out: (text) => process.stdout.write(`${text}\n`),
    err: (text) => process.stderr.write(`${text}\n`),
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
    cwd: process.cwd(),
    env: process.env,
    now: Date.now,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  };
}
