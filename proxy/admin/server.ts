/** The control socket: a small HTTP server on a Unix socket, open to the user who runs Skyport only. */
import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { channels } from '../channels.js';
import { SESSION_STATES, type SessionState } from '../observe/snapshot.js';
import { isUnknownBackend, type AdminActions, type SessionFilter } from './actions.js';
import { isMilliseconds, performMove, performPrune, performRestart, unknownBackend } from './orders.js';
import { performSharing } from './sharing.js';
import { makeSocketDirectory, socketPath } from './socket-path.js';
import { withLock } from './start-lock.js';

const BODY_MAX = 16 * 1024;
/** Milliseconds that the owner of a socket file may take to accept. */
const PROBE_TIMEOUT = 1_000;

export interface AdminOptions {
  /** As configured; see socket-path.ts for one that is too long. */
  path: string;
  actions: AdminActions;
}

export interface AdminServer {
  /** Where it really listens. */
  readonly path: string;
  /** Stops answering and removes the socket file. */
  close(): Promise<void>;
}

/**
 * Listens. A socket file that nobody answers on is left over from a crash and is replaced.
 * @throws Error "another Skyport runs on this store" when somebody does answer, or when the path is
 * taken by something that is not a socket
 */
export async function createAdmin({ path: configured, actions }: AdminOptions): Promise<AdminServer> {
  const path = socketPath(configured);
  makeSocketDirectory(configured);
  const server = createServer((request, response) => void answer(request, response, actions));
  // Two that start at once would find the same stale file, and the slower one remove the socket of the faster.
  await withLock(`${path}.lock`, async () => {
    await clearStale(path);
    await listen(server, path);
  });
  return {
    path,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}

async function clearStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new Error(`admin.socket: ${path} exists and is not a socket`);
  if (await answers(path)) throw new Error(alreadyRuns(path));
  rmSync(path, { force: true });
}

function alreadyRuns(path: string): string {
  return `another Skyport runs on this store: it answers on ${path}`;
}

/** A stopped process does not answer but is alive: what accepts or hangs counts as running. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (alive: boolean) => {
      socket.destroy();
      resolve(alive);
    };
    socket.setTimeout(PROBE_TIMEOUT, () => done(true));
    socket.once('connect', () => done(true));
    socket.once('error', ({ code }: NodeJS.ErrnoException) => done(code !== 'ECONNREFUSED' && code !== 'ENOENT'));
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new Error(alreadyRuns(path)) : error);
    });
    // The file is made inside `listen`, before it returns: it is never open to others, not even shortly.
    const mask = process.umask(0o177);
    try {
      server.listen(path);
    } finally {
      process.umask(mask);
    }
    server.once('listening', () => {
      chmodSync(path, 0o600);
      resolve();
    });
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, actions: AdminActions): Promise<void> {
  try {
    const url = new URL(`http://skyport${request.url ?? '/'}`);
    const action = url.pathname.slice(1);
    const expected = METHODS.get(action);
    if (expected === undefined) return send(response, 404, { error: `Unknown action ${action}`, actions: [...METHODS.keys()] });
    if (request.method !== expected) {
      response.setHeader('Allow', expected);
      return send(response, 405, { error: `${action} is a ${expected}` });
    }
    const { status, body } = await perform(action, url, request, actions);
    send(response, status, body);
  } catch (error) {
    channels.bug.publish({ where: 'admin/server', error });
    send(response, 500, { error: 'Internal error; the log has the details' });
  }
}

const METHODS: ReadonlyMap<string, 'GET' | 'POST'> = new Map([
  ['status', 'GET'], ['sessions', 'GET'], ['drain', 'POST'], ['undrain', 'POST'], ['reload', 'POST'],
  ['share', 'POST'], ['unshare', 'POST'], ['move', 'POST'], ['restart', 'POST'], ['restart-progress', 'GET'], ['prune', 'POST'],
]);

export interface Reply {
  status: number;
  body: object;
}

async function perform(action: string, url: URL, request: IncomingMessage, actions: AdminActions): Promise<Reply> {
  if (action === 'status') return { status: 200, body: await actions.status() };
  if (action === 'reload') return { status: 200, body: await actions.reload() };
  if (action === 'sessions') {
    const filter = readFilter(url);
    return typeof filter === 'string' ? { status: 400, body: { error: filter } } : { status: 200, body: await actions.sessions(filter) };
  }
  if (action === 'share' || action === 'unshare') return await performSharing(action, await readBody(request), actions);
  if (action === 'restart-progress') return { status: 200, body: await actions.restartProgress() };
  if (action === 'move') return await performMove(await readBody(request), actions);
  if (action === 'restart') return await performRestart(await readBody(request), actions);
  if (action === 'prune') return await performPrune(await readBody(request), actions);
  const name = nameIn(await readBody(request));
  if (name === undefined) return { status: 400, body: { error: 'The body must be {"name": "<backend>"}' } };
  const report = action === 'drain' ? await actions.drain(name) : await actions.undrain(name);
  return isUnknownBackend(report) ? unknownBackend(report) : { status: 200, body: report };
}

/** @returns the filter, or what is wrong with it */
function readFilter({ searchParams }: URL): SessionFilter | string {
  const state = searchParams.get('state') ?? undefined;
  if (state !== undefined && !(SESSION_STATES as readonly string[]).includes(state)) {
    return `Unknown state ${state}; there are ${SESSION_STATES.join(', ')}`;
  }
  const unusedFor = searchParams.get('unusedFor');
  if (unusedFor !== null && !isMilliseconds(Number(unusedFor))) return 'unusedFor must be a number of milliseconds';
  return {
    unusedFor: unusedFor === null ? undefined : Number(unusedFor),
    user: searchParams.get('user') ?? undefined,
    backend: searchParams.get('backend') ?? undefined,
    state: state as SessionState | undefined,
  };
}

/** The object of the body; `{}` when it is none, or too large. */
async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_MAX) return {};
    chunks.push(chunk);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function nameIn({ name }: Record<string, unknown>): string | undefined {
  return typeof name === 'string' && name !== '' ? name : undefined;
}

function send(response: ServerResponse, status: number, body: object): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}
