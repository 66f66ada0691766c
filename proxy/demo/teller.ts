/** How the demo speaks: plain lines, in colour only on a terminal. */

export interface Voice {
  /** Writes one line. */
  write(line: string): void;
  colour: boolean;
}

/** A step that did not do what the story says; the demo fails with it. */
export class BrokenStory extends Error {
  override name = 'BrokenStory';
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
type Colour = keyof typeof CODES;

const INDENT = '   ';

export class Teller {
  checks = 0;
  private scenes = 0;
  private muted = false;

  constructor(private readonly voice: Voice) {}

  /** The story was interrupted: what the scene under way still has to say is not told. */
  mute(): void {
    this.muted = true;
  }

  title(text: string): void {
    this.write(this.paint('bold', text));
  }

  scene(text: string): void {
    this.scenes++;
    this.write('');
    this.write(this.paint('bold', `${this.scenes}. ${text}`));
  }

  /** What is about to happen, or why it matters. */
  say(text: string): void {
    this.write(`${INDENT}${text}`);
  }

  /** What somebody said, in his own words. */
  speech(who: string, text: string): void {
    this.write(`${INDENT}${this.paint('cyan', who.padEnd(6))} ${text}`);
  }

  /** A part of a table or of somebody else's output. */
  quote(text: string): void {
    for (const line of text.split('\n')) this.write(`${INDENT}${this.paint('dim', line)}`.trimEnd());
  }

  /** Something happens that nobody wants. */
  alarm(text: string): void {
    this.write(`${INDENT}${this.paint('yellow', text)}`);
  }

  /**
   * The story goes on only if this is so.
   * @param found told when it is not
   * @throws BrokenStory
   */
  check(isSo: boolean, text: string, found?: unknown): void {
    if (!isSo) throw new BrokenStory(found === undefined ? text : `${text}\nfound: ${JSON.stringify(found)}`);
    this.checks++;
    this.write(`${INDENT}${this.paint('green', 'ok')}  ${text}`);
  }

  end(text: string): void {
    this.write('');
    this.write(this.paint('green', text));
  }

  failed(text: string): void {
    this.write('');
    this.write(this.paint('red', text));
  }

  private write(line: string): void {
    if (!this.muted) this.voice.write(line);
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
  };
}
