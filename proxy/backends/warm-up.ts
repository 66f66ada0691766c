/**
 * Has a CLI server do beforehand what its first session and its first turn would wait for.
 *
 * In a fresh process a first turn takes some 200 ms of CPU time more than a later one: the tables of the tokenizer
 * (one for all models, built as soon as anything is counted) and, about a tenth of it, what its HTTP client needs
 * (profiled, runtime 1.0.85). So the server gets a session of nobody's, for one turn with a model of Skyport's own:
 *
 *   session.create ─▶ session.tools.initializeAndValidate ─▶ session.metadata.recomputeContextTokens
 *     ─▶ session.send ─▶ the turn's end is stored ─▶ session.detach
 *
 * Without a model there is no turn, and the server talks to nobody but Skyport; with one it talks to that one only
 * (traced, runtime 1.0.85, without COPILOT_OFFLINE; a proxy in its environment would be asked even for loopback). What the
 * session stores is forgotten: a server asks for nothing again that it has stored in its life, and so finds a file
 * system that takes everything and has nothing. After the detach it knows nothing of the session any more.
 */
import { randomUUID } from 'node:crypto';
import { isRefusal } from '../protocol/errors.js';
import type { Link } from './link.js';
import type { Served, SessionFileSystem } from './provider.js';
import type { ServerShell } from './shell.js';
import type { WarmUpModel } from './warm-up-model.js';

/** Milliseconds for all of it but the detach: it takes some 300 on an idle machine. */
const DEADLINE = 10_000;

/** Nobody listens there, and nobody is ever asked. */
const NOBODY = { url: 'http://127.0.0.1:1/v1', key: 'nobody' };
const MODEL = 'gpt-4.1';

/** What a server stores last in a turn; `session.idle` is never stored. */
const TURN_END = '"type":"assistant.turn_end"';

export class WarmUp implements SessionFileSystem {
  readonly statePath: string;
  /** Of no user, and not to be guessed. */
  readonly sessionId = `skyport-warm-up-${randomUUID()}`;
  private underWay: Promise<string | undefined> | undefined;
  private endTurn: (failure?: string) => void = () => undefined;

  /** @param files of all other sessions */
  constructor(private readonly files: SessionFileSystem) {
    this.statePath = files.statePath;
  }

  /**
   * Runs it, once: further calls get the outcome of the first.
   * @param link the control link, where nobody listens to what the session tells
   * @param model for one turn; the caller's to close. Left out: no turn
   * @returns why the server is not (quite) warm; undefined when it is
   */
  run(link: Link, model?: WarmUpModel): Promise<string | undefined> {
    this.underWay ??= this.steps(link, model);
    return this.underWay;
  }

  /** Forgets what the warm-up's session stores; whatever is for another session is none of its business. */
  answer(from: Served, method: string, params: unknown, shell: ServerShell): object | Promise<object> {
    const { sessionId, content } = (params ?? {}) as { sessionId?: unknown; content?: unknown };
    if (sessionId !== this.sessionId) return this.files.answer(from, method, params, shell);
    if (method === 'sessionFs.appendFile' && typeof content === 'string' && content.includes(TURN_END)) this.endTurn();
    return forget(method);
  }

  /** The server is gone: a turn that is under way ends nowhere. */
  stop(): void {
    this.endTurn('the server is gone');
  }

  private async steps(link: Link, model: WarmUpModel | undefined): Promise<string | undefined> {
    const { sessionId } = this;
    const until = performance.now() + DEADLINE;
    const step = async (method: string, params: object = {}): Promise<string | undefined> => {
      const answer = await link.call(method, { sessionId, ...params }, Math.max(1, until - performance.now()));
      if (isRefusal(answer)) return `${method}: ${answer.message}`;
      return answer.ok ? undefined : `${method}: ${answer.error.message}`;
    };
    const { url: baseUrl, key: apiKey } = model ?? NOBODY;
    const failure = await step('session.create', { model: MODEL, provider: { type: 'openai', baseUrl, apiKey }, streaming: true })
      ?? await step('session.tools.initializeAndValidate')
      ?? await step('session.metadata.recomputeContextTokens', { modelId: MODEL })
      ?? (model && await this.turn(() => step('session.send', { prompt: 'Ready?' }), until));
    // Also after a failure: what was created must not stay, and a turn ends with it.
    const detached = await link.call('session.detach', { sessionId }, DEADLINE);
    if (failure !== undefined || isRefusal(detached)) return failure ?? 'session.detach was not answered';
    return detached.ok ? undefined : `session.detach: ${detached.error.message}`;
  }

  private turn(send: () => Promise<string | undefined>, until: number): Promise<string | undefined> {
    return new Promise((resolve) => {
      const deadline = setTimeout(() => resolve('the turn did not end'), Math.max(1, until - performance.now()));
      const end = (failure?: string): void => {
        clearTimeout(deadline);
        resolve(failure);
      };
      this.endTurn = end;
      void send().then((failure) => failure !== undefined && end(failure));
    });
  }
}

const NOT_THERE = { code: 'ENOENT', message: 'no such file or directory' };
const EPOCH = new Date(0).toISOString();

/** In the runtime's shapes (api.schema.json: SessionFs…Result). */
function forget(method: string): object {
  switch (method) {
    case 'sessionFs.readFile':
      return { result: { content: '', error: NOT_THERE } };
    case 'sessionFs.exists':
      return { result: { exists: false } };
    case 'sessionFs.stat':
      return { result: { isFile: false, isDirectory: false, size: 0, mtime: EPOCH, birthtime: EPOCH, error: NOT_THERE } };
    case 'sessionFs.readdir':
    case 'sessionFs.readdirWithTypes':
      return { result: { entries: [] } };
    case 'sessionFs.writeFile':
    case 'sessionFs.appendFile':
    case 'sessionFs.mkdir':
    case 'sessionFs.rm':
    case 'sessionFs.rename':
      return { result: null };
    default:
      return { error: { code: -32601, message: `${method} is not served by this session file system` } };
  }
}
