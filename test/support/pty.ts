/**
 * A command in a terminal of its own. Node has none to give; `script` of util-linux, which every Debian
 * has, makes one and passes on what is typed and shown.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { leadsGroup, signalGroup } from './process-group.js';
import { EmulatedScreen } from './screen.js';
import { removeTemporary, temporary } from './temporary.js';

export class Pty {
  readonly screen: EmulatedScreen;
  private readonly ended: Promise<number | null>;
  private readonly watchers = new Set<() => void>();

  private constructor(private readonly child: ChildProcess, private readonly directory: string, rows: number, columns: number) {
    this.screen = new EmulatedScreen(rows, columns);
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      this.screen.write(chunk);
      for (const wake of this.watchers) wake();
      this.watchers.clear();
    });
    this.ended = new Promise((resolve) => child.once('close', resolve));
  }

  /**
   * Runs a command in a terminal of this size. A line `modes: …` before and after it shows the terminal's
   * own settings, `code: …` its exit code.
   */
  static start(command: readonly string[], { rows = 24, columns = 120, env = {} }: { rows?: number; columns?: number; env?: NodeJS.ProcessEnv } = {}): Pty {
    const directory = temporary('pty-');
    const pid = path.join(directory, 'pid');
    const script = [
      `stty rows ${rows} cols ${columns}`, 'echo modes: $(stty -g)',
      `sh -c 'echo $$ > ${pid}; exec "$@"' - ${command.map((word) => `'${word}'`).join(' ')}`, 'echo code: $?', 'echo modes: $(stty -g)',
    ].join('\n');
    const child = spawn('script', ['-qfec', script, '/dev/null'], {
      detached: true, stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, TERM: 'xterm', NO_COLOR: '', SHELL: '/bin/sh', ...env },
    });
    leadsGroup(child);
    return new Pty(child, directory, rows, columns);
  }

  /** Of the command itself. */
  get pid(): number {
    return Number(readFileSync(path.join(this.directory, 'pid'), 'utf8'));
  }

  type(text: string): void {
    this.child.stdin!.write(text);
  }

  /** Makes the terminal another size, as a window's frame that is dragged does. */
  resize(rows: number, columns: number): void {
    [this.screen.rows, this.screen.columns] = [rows, columns];
    execFileSync('stty', ['-F', `/proc/${this.pid}/fd/1`, 'rows', String(rows), 'cols', String(columns)]);
  }

  /** The terminal is gone, as when its window is closed. @returns when the command is gone, too */
  async hangUp(): Promise<void> {
    const { pid } = this;
    this.child.kill('SIGKILL');
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Waits until the screen is as wanted; the test's own time-out ends a wait in vain. */
  async until(wanted: (screen: EmulatedScreen) => boolean): Promise<void> {
    while (!wanted(this.screen)) await new Promise<void>((resolve) => this.watchers.add(resolve));
  }

  /** Waits for the command's end. @returns its exit code, and the terminal's settings before and after it */
  async end(): Promise<{ code: number; before: string; after: string }> {
    await this.ended;
    const { text } = this.screen;
    const [before, after] = [...text.matchAll(/^modes: (.+)$/gm)].map(([, modes]) => modes!);
    return { code: Number(/^code: (\d+)$/m.exec(text)?.[1] ?? Number.NaN), before: before!, after: after! };
  }

  async stop(): Promise<void> {
    signalGroup(this.child.pid!, 'SIGKILL');
    await this.ended;
    await removeTemporary(this.directory);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
