/** The terminal as a screen and a keyboard; a test gives another. */

export interface Tty {
  readonly rows: number;
  readonly columns: number;
  /** It takes colours, and the user wants them. */
  readonly colour: boolean;
  write(text: string): void;
  /** Keys come one by one and are not shown; false: as before. */
  raw(on: boolean): void;
  /** Stops this process until the shell continues it. */
  suspend(): void;
  /** @returns takes the listeners away again */
  listen(listeners: TtyListeners): () => void;
}

export interface TtyListeners {
  /** What was typed. */
  typed(text: string): void;
  resized(): void;
  /** The process goes on after it was stopped: the terminal may be in any state. */
  continued(): void;
  /** Somebody ends the command, or the terminal is gone. @param code the exit code */
  ended(code: number): void;
  /** The process exits, whatever the reason: only what is written at once is written. */
  exiting(): void;
}

/** By convention 128 and the number of the signal. */
const SIGNAL_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** @returns undefined where stdout is no terminal, or one that cannot be drawn on */
export function processTty(env: Record<string, string | undefined> = process.env): Tty | undefined {
  const { stdin, stdout } = process;
  if (!stdout.isTTY || env['TERM'] === 'dumb') return undefined;
  return {
    get rows() { return stdout.rows || 24; },
    get columns() { return stdout.columns || 80; },
    colour: mayColour(env),
    write: (text) => { stdout.write(text); },
    raw: (on) => { if (stdin.isTTY) stdin.setRawMode(on); },
    // The whole group, as Ctrl-Z does: `npx` or a script may stand between this and the shell.
    suspend: () => { process.kill(0, 'SIGTSTP'); },
    listen: (listeners) => listenTo(listeners),
  };
}

/** https://no-color.org: any value but the empty one means no. */
export function mayColour(env: Record<string, string | undefined>): boolean {
  return !env['NO_COLOR'];
}

function listenTo({ typed, resized, continued, ended, exiting }: TtyListeners): () => void {
  const { stdin, stdout } = process;
  const onData = (chunk: Buffer): void => typed(chunk.toString('latin1'));
  // What a terminal that is gone cannot be told. Input that never was a terminal may end.
  const onEnd = (): void => { if (stdin.isTTY) ended(SIGNAL_CODES.SIGHUP); };
  const signals = Object.entries(SIGNAL_CODES).map(([signal, code]) => [signal, () => ended(code)] as const);
  for (const [signal, listener] of signals) process.on(signal, listener);
  process.on('SIGCONT', continued);
  process.on('exit', exiting);
  stdout.on('resize', resized);
  // This one stays: what is told to a terminal that is gone fails later, too.
  stdin.on('data', onData).on('end', onEnd).on('error', onEnd);
  stdin.resume();
  return () => {
    for (const [signal, listener] of signals) process.off(signal, listener);
    process.off('SIGCONT', continued);
    process.off('exit', exiting);
    stdout.off('resize', resized);
    stdin.off('data', onData).off('end', onEnd);
    // An open input would keep the process alive.
    stdin.pause();
  };
}
