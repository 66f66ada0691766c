/**
 * Runs commands on the machine of a CLI server, as the server's user, in a session that it has loaded.
 *
 * `session.shell.exec` may be called on any connection; what the command prints and how it ends is told
 * as `shell.output` and `shell.exit` to the connections that are attached to the session, perhaps before
 * the call is answered (measured, runtime 1.0.85). Nothing of it reaches clients or the history.
 */
import { isRefusal } from '../protocol/errors.js';
import type { Frame } from '../wire/frame.js';
import type { Link } from './link.js';

export interface Outcome {
  readonly exitCode: number;
  /** What the command wrote to its standard output. */
  readonly output: string;
}

/** Milliseconds for a command from its call to its end. */
const DEADLINE = 15_000;

interface Run {
  /** The first link that told of the command; the copies that others are sent do not count. */
  link: Link | undefined;
  output: string;
  end: ((exitCode: number) => void) | undefined;
  exitCode: number | undefined;
}

interface News {
  readonly processId?: unknown;
  readonly stream?: unknown;
  readonly data?: unknown;
  readonly exitCode?: unknown;
}

export class ServerShell {
  private readonly runs = new Map<string, Run>();
  /** Calls that are not answered yet: until then a command is heard of by an id that nobody knows. */
  private starting = 0;

  /** @param control any link to the server */
  constructor(private readonly control: Link) {}

  /** @returns undefined when the command could not be run, or did not end in time */
  async run(sessionId: string, command: string): Promise<Outcome | undefined> {
    this.starting++;
    const answer = await this.control.call('session.shell.exec', { sessionId, command, timeout: DEADLINE }, DEADLINE);
    this.starting--;
    const processId = isRefusal(answer) || !answer.ok ? undefined : (answer.result as { processId?: unknown } | null)?.processId;
    if (typeof processId !== 'string') {
      this.forgetStrangers();
      return undefined;
    }
    const run = this.runOf(processId);
    const exitCode = run.exitCode ?? (await this.ended(run));
    this.runs.delete(processId);
    this.forgetStrangers();
    return exitCode === undefined ? undefined : { exitCode, output: run.output };
  }

  /** What a link was told of commands. @returns false when nobody waits for any */
  hear(link: Link, method: string, frame: Frame): boolean {
    if (this.starting === 0 && this.runs.size === 0) return false;
    const { processId, stream, data, exitCode } = newsOf(frame);
    if (typeof processId !== 'string' || (this.starting === 0 && !this.runs.has(processId))) return false;
    const run = this.runOf(processId);
    run.link ??= link;
    if (run.link !== link) return true;
    if (method === 'shell.output') {
      if (stream === 'stdout' && typeof data === 'string') run.output += data;
    } else {
      run.exitCode = typeof exitCode === 'number' ? exitCode : -1;
      run.end?.(run.exitCode);
    }
    return true;
  }

  private runOf(processId: string): Run {
    let run = this.runs.get(processId);
    if (!run) this.runs.set(processId, (run = { link: undefined, output: '', end: undefined, exitCode: undefined }));
    return run;
  }

  private ended(run: Run): Promise<number | undefined> {
    return new Promise((resolve) => {
      const deadline = setTimeout(() => resolve(undefined), DEADLINE);
      run.end = (exitCode) => {
        clearTimeout(deadline);
        resolve(exitCode);
      };
    });
  }

  /** Commands that a client has run: they were heard of while one of Skyport's own was being started. */
  private forgetStrangers(): void {
    if (this.starting > 0) return;
    for (const [processId, run] of this.runs) if (!run.end) this.runs.delete(processId);
  }
}

function newsOf(frame: Frame): News {
  try {
    return (JSON.parse(frame.buffer.toString('utf8', frame.body, frame.end)) as { params?: News }).params ?? {};
  } catch {
    return {};
  }
}
