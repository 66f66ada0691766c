/** How the demo speaks: plain lines, in colour only on a terminal. */

export interface Voice {
  /** Writes one line. */
  write(line: string): void;
  colour: boolean;
  /** Characters in a line; undefined where nothing limits it. */
  columns: number | undefined;
}

/** A step that did not do what the story says; the demo fails with it. */
export class BrokenStory extends Error {
  override name = 'BrokenStory';
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
type Colour = keyof typeof CODES;

const INDENT = '   ';

export class Teller {
  private scenes = 0;
  checks = 0;

  constructor(private readonly voice: Voice) {}

  /** The story was interrupted: what the scene under way still has to say is not told. */
  mute(): void {
    this.voice.write = () => undefined;
  }

  /** Characters that a quoted line may have. */
  get width(): number | undefined {
    return this.voice.columns === undefined ? undefined : this.voice.columns - INDENT.length;
  }

  title(text: string): void {
    this.voice.write(this.paint('bold', text));
  }

  scene(text: string): void {
    this.scenes++;
    this.voice.write('');
    this.voice.write(this.paint('bold', `${this.scenes}. ${text}`));
  }

  /** What is about to happen, or why it matters. */
  say(text: string): void {
    this.voice.write(`${INDENT}${text}`);
  }

  /** What somebody said, in his own words. */
  speech(who: string, text: string): void {
    this.voice.write(`${INDENT}${this.paint('cyan', who.padEnd(6))} ${text}`);
  }

  /** A part of a table or of somebody else's output. */
  quote(text: string): void {
    for (const line of text.split('\n')) this.voice.write(`${INDENT}${this.paint('dim', line)}`.trimEnd());
  }

  /** Something happens that nobody wants. */
  alarm(text: string): void {
    this.voice.write(`${INDENT}${this.paint('yellow', text)}`);
  }

  /**
   * The story goes on only if this is so.
   * @param found told when it is not
   * @throws BrokenStory
   */
  check(isSo: boolean, text: string, found?: unknown): void {
    if (!isSo) throw new BrokenStory(found === undefined ? text : `${text}\nfound: ${JSON.stringify(found)}`);
    this.checks++;
    this.voice.write(`${INDENT}${this.paint('green', 'ok')}  ${text}`);
  }

  end(text: string): void {
    this.voice.write('');
    this.voice.write(this.paint('green', text));
  }

  failed(text: string): void {
    this.voice.write('');
    this.voice.write(this.paint('red', text));
  }

  private paint(colour: Colour, text: string): string {
    return this.voice.colour ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
  }
}

/** stdout; colours follow the terminal and NO_COLOR. */
export function stdoutVoice(): Voice {
  return {
    write: (line) => process.stdout.write(`${line}\n`),
    colour: process.stdout.isTTY === true && !process.env.NO_COLOR,
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  };
}
