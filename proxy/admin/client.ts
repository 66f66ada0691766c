/** The command line's side of the control socket. */
import { request } from 'node:http';
import { socketPath } from './socket-path.js';

/** Milliseconds; a reload starts and probes what is new, so it may take a while. */
const CALL_TIMEOUT = 30_000;

/** A call that did not work out, with a message for the person at the terminal. */
export class AdminError extends Error {
  override name = 'AdminError';
  /** The HTTP status, where a Skyport answered at all. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

export interface CallLimits {
  /** Milliseconds without a byte of the answer. */
  timeout?: number;
  /** Ends the call early. */
  signal?: AbortSignal;
}

/**
 * Calls a running Skyport.
 * @param path `admin.socket` as configured
 * @param action a name of actions.ts, with its query: `sessions?user=alice`
 * @throws AdminError when no Skyport runs there, when it does not answer, or with its refusal
 */
export async function adminCall<T>(path: string, method: 'GET' | 'POST', action: string, body?: object, limits: CallLimits = {}): Promise<T> {
  const { status, text } = await exchange(socketPath(path), method, action, body, limits);
  const answer = readJson(text);
  if (status === 200) return answer as T;
  const { error } = answer as { error?: unknown };
  throw new AdminError(typeof error === 'string' ? error : `Skyport answered with status ${status}`, status);
}

function exchange(
  socket: string, method: string, action: string, body: object | undefined, { timeout = CALL_TIMEOUT, signal }: CallLimits,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers = payload === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(payload) };
    const call = request({ socketPath: socket, method, path: `/${action}`, headers, agent: false, timeout, signal }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => { text += chunk; });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.on('error', (error) => reject(new AdminError(`Skyport broke off its answer: ${error.message}`)));
    });
    call.on('timeout', () => call.destroy(new AdminError(`Skyport on ${socket} does not answer`)));
    call.on('error', (error: NodeJS.ErrnoException) => reject(error instanceof AdminError ? error : new AdminError(explain(error, socket))));
    call.end(payload);
  });
}

function explain({ code, message }: NodeJS.ErrnoException, socket: string): string {
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return `No Skyport runs here: nobody answers on ${socket}`;
  if (code === 'EACCES' || code === 'EPERM') return `Skyport on ${socket} belongs to another user: run this as the user who started it`;
  return `Skyport on ${socket} cannot be reached: ${message}`;
}

function readJson(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Told below.
  }
  throw new AdminError('Skyport answered with something that is not JSON');
}
