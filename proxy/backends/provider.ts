/**
 * Makes Skyport the session file system of a CLI server, and has the server's requests answered.
 *
 * A server takes one for its whole life, on one connection, before its first session, and never lets
 * it go: after that connection is gone, every other is refused and the server stores nothing any more
 * (measured, runtime 1.0.85; docs/decisions/0009). So the control link and the server end together.
 */
import { isRefusal } from '../protocol/errors.js';
import type { Frame } from '../wire/frame.js';
import type { Peek } from '../wire/peek.js';
import type { Link } from './link.js';
import type { ServerShell } from './shell.js';

/** One life of a backend's server as this Skyport serves it. */
export interface Served {
  readonly name: string;
  /** `Backend.id`. */
  readonly backend: number;
  /** Goes up each time that a server of this name takes Skyport for its file system. */
  readonly incarnation: number;
}

/** Who keeps the files of sessions. */
export interface SessionFileSystem {
  /** Where in a session's file system the server shall keep its state. */
  readonly statePath: string;
  /**
   * Answers a request, in the order of the calls, at once where nothing has to be waited for; never throws or rejects.
   * @param shell reaches the server's own files
   * @returns an object with a `result` or an `error`
   */
  answer(from: Served, method: string, params: unknown, shell: ServerShell): object | Promise<object>;
}

/** Why a server cannot be used as it is now. `restart`: another process of it could. */
export interface Unusable {
  readonly reason: string;
  readonly cure: 'restart' | 'upgrade' | 'wait';
}

/** Milliseconds that `setProvider` may take at least: one that is given up too early has taken place all the same. */
const PATIENCE = 10_000;

/**
 * @param directory where sessions work that name no directory; the server's own when left out
 * @param timeout milliseconds
 */
export async function becomeFileSystem(
  link: Link,
  files: SessionFileSystem,
  directory: string | undefined,
  timeout: number,
): Promise<Unusable | undefined> {
  const initialCwd = directory ?? (await workingDirectoryOf(link, timeout));
  const params = { initialCwd, sessionStatePath: files.statePath, conventions: 'posix' };
  const answer = await link.call('sessionFs.setProvider', params, Math.max(timeout, PATIENCE));
  if (isRefusal(answer)) return { reason: `sessionFs.setProvider: ${answer.message}`, cure: 'wait' };
  return answer.ok ? undefined : explain(answer.error);
}

/** The texts are those of runtime 1.0.85. */
function explain({ code, message }: { readonly code: number; readonly message: string }): Unusable {
  if (/already the session filesystem provider/i.test(message)) {
    return {
      reason: 'the CLI server has a session file system already, of another Skyport, or of this one before it was restarted or lost its connection: restart the CLI server',
      cure: 'restart',
    };
  }
  if (/sessions are active/i.test(message)) {
    return {
      reason: 'the CLI server has sessions loaded, of somebody else or from before this Skyport was restarted or lost its connection, and so takes no session file system: restart the CLI server',
      cure: 'restart',
    };
  }
  if (code === METHOD_NOT_FOUND) {
    return {
      reason: 'the CLI server is too old for sessions.state: skyport, it knows no sessionFs.setProvider: upgrade it, or set sessions.state to server',
      cure: 'upgrade',
    };
  }
  return { reason: `sessionFs.setProvider: ${message}`, cure: 'restart' };
}

const METHOD_NOT_FOUND = -32601;

/** Nothing of this name is there. */
const NOWHERE = 'skyport-asks-where-this-server-works';

/**
 * No method tells a server's working directory before there is a session, and `initialCwd` must be
 * absolute. But the refusal to install a plugin from a relative path that does not exist names the whole
 * path (measured, runtime 1.0.85), and asking so leaves nothing but an empty lock file in the server's home.
 */
async function workingDirectoryOf(link: Link, timeout: number): Promise<string> {
  const answer = await link.call('plugins.install', { source: `./${NOWHERE}` }, timeout);
  if (isRefusal(answer) || answer.ok) return '/';
  const path = new RegExp(`(?:^|\\s)(/.*?)/?${NOWHERE}`).exec(answer.error.message)?.[1];
  return path ?? '/';
}

/** Has a request answered. @param frame not kept after the call */
export function serve(link: Link, files: SessionFileSystem, from: Served, shell: ServerShell, frame: Frame, peeked: Peek): void {
  const idToken = frame.buffer.toString('utf8', peeked.idStart, peeked.idEnd);
  const reply = files.answer(from, peeked.method, paramsOf(frame), shell);
  if (reply instanceof Promise) void reply.then((late: object) => link.reply(idToken, late));
  else link.reply(idToken, reply);
}

/** What is no JSON has no params. */
function paramsOf(frame: Frame): unknown {
  try {
    return (JSON.parse(frame.buffer.toString('utf8', frame.body, frame.end)) as { params?: unknown }).params;
  } catch {
    return undefined;
  }
}
