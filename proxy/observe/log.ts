/**
 * The log: JSON lines, one for each client connection, session, turn, backend change and reload, none
 * per message. Every line has an `event`; the names are those of `LINES` below. Fields are picked one
 * by one, so that a payload that grows a field does not put it into the log by itself.
 */
import { pino, type DestinationStream, type Logger } from 'pino';
import { channels, type Channel, type SessionChange, type Subscriber } from '../channels.js';
import { scrubError, scrubText } from './scrub.js';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
type LineLevel = Exclude<LogLevel, 'silent'>;
type Fields = Record<string, unknown>;

/** Bytes that may wait for a slow reader of stdout before lines are dropped rather than kept. */
const BUFFER_MAX = 16 * 1024 * 1024;

const SECRET_KEYS = ['token', 'apiKey', 'authorization', 'prompt', 'sha256'];
/** A second net: nothing puts these into a line, at any depth that a line has. */
const REDACTED = SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);

const WARM_UP_LEVELS = { begun: 'debug', warm: 'info', failed: 'warn' } as const;

export interface LogOptions {
  level: LogLevel;
  /** Takes whole lines; stdout unless given. */
  stream?: DestinationStream;
}

export class Log {
  readonly #pino: Logger;
  readonly #destination: ReturnType<typeof pino.destination> | undefined;
  readonly #unsubscribe: Array<() => void> = [];

  /** Subscribes at once; lines go out until `close`. */
  constructor({ level, stream }: LogOptions) {
    // Not synchronous: a terminal that is scrolled back must not stop the proxy. pino writes what is
    // left when the process exits.
    this.#destination = stream ? undefined : pino.destination({ dest: 1, sync: false, maxLength: BUFFER_MAX });
    this.#pino = pino({
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED, censor: '[redacted]' },
    }, stream ?? this.#destination!);
    this.#subscribe();
  }

  get level(): LogLevel {
    return this.#pino.level as LogLevel;
  }

  /** Takes effect with the next line. */
  set level(level: LogLevel) {
    this.#pino.level = level;
  }

  /** Unsubscribes and writes what is still buffered. The log is of no use afterwards. */
  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe.length = 0;
    try {
      this.#destination?.flushSync();
    } catch {
      // Whoever read stdout has gone away: there is nobody left to tell.
    }
  }

  #on<T extends object>(channel: Channel<T>, subscriber: Subscriber<T>): void {
    channel.subscribe(subscriber);
    this.#unsubscribe.push(() => channel.unsubscribe(subscriber));
  }

  #line(level: LineLevel, event: string, fields: Fields): void {
    this.#pino[level]({ event, ...fields });
  }

  #subscribe(): void {
    this.#subscribeClients();
    this.#subscribeSessions();
    this.#subscribeBackends();
    this.#subscribeOperation();
  }

  #subscribeClients(): void {
    this.#on(channels.clientOpened, ({ clientId, remote, listener, transport }) =>
      this.#line('debug', 'client_opened', { clientId, remote, listener, transport }));
    this.#on(channels.clientAuthenticated, ({ clientId, user, roles, source, sdk }) =>
      this.#line('debug', 'client_authenticated', { clientId, user, roles, source, sdk }));
    this.#on(channels.clientClosed, (m) => this.#line('info', 'client_closed', {
      clientId: m.clientId, user: m.user, reason: m.reason, durationMs: m.durationMs,
      bytesIn: m.bytesIn, bytesOut: m.bytesOut, requests: m.requests, events: m.events,
    }));
    this.#on(channels.loginFailed, ({ clientId, remote, reason, delayMs, cut }) =>
      this.#line('warn', 'login_failed', { clientId, remote, reason, delayMs, cut }));
    this.#on(channels.refusal, ({ name, method, user, rule }) =>
      this.#line('debug', 'refused', { name, method: method?.slice(0, 128), user, rule }));
  }

  #subscribeSessions(): void {
    const session = (level: LineLevel, event: string) => (m: SessionChange) => this.#line(level, event, {
      sessionId: m.sessionId, owner: m.owner, backend: m.backend, epoch: m.epoch, clientId: m.clientId, reason: m.reason,
    });
    this.#on(channels.sessionCreated, session('info', 'session_created'));
    this.#on(channels.sessionResumed, session('info', 'session_resumed'));
    this.#on(channels.sessionMoved, (m) => this.#line('info', 'session_moved', {
      sessionId: m.sessionId, owner: m.owner, from: m.from, backend: m.backend, epoch: m.epoch, reason: m.reason,
    }));
    this.#on(channels.sessionAttached, session('debug', 'session_attached'));
    this.#on(channels.sessionDetached, session('debug', 'session_detached'));
    this.#on(channels.sessionDeleted, session('info', 'session_deleted'));
    this.#on(channels.turnRecovered, (m) => this.#line(m.outcome === 'failed' ? 'warn' : 'info', 'turn_recovered', {
      sessionId: m.sessionId, owner: m.owner, backend: m.backend, epoch: m.epoch, outcome: m.outcome, durationMs: Math.round(m.durationMs),
    }));
    this.#on(channels.turnStalled, ({ sessionId, owner, backend, step, stillMs }) =>
      this.#line('warn', 'turn_stalled', { sessionId, owner, backend, step, stillMs: Math.round(stillMs) }));
    this.#on(channels.turnEnded, ({ sessionId, owner, backend, durationMs, outcome }) =>
      this.#line(outcome === 'backend_lost' ? 'warn' : 'info', 'turn_ended', {
        sessionId, owner, backend, durationMs: Math.round(durationMs), outcome,
      }));
  }

  #subscribeBackends(): void {
    this.#on(channels.backendState, ({ backend, from, to, reason }) =>
      this.#line(to === 'down' || to === 'ejected' ? 'warn' : 'info', 'backend_state', { backend, from, to, reason: scrubText(reason) }));
    this.#on(channels.backendUnusable, ({ backend, reason }) =>
      this.#line('warn', 'backend_unusable', { backend, reason: scrubText(reason) }));
    this.#on(channels.backendRestart, ({ backend, from, to, reason }) =>
      this.#line(to === 'failed' ? 'warn' : 'info', 'backend_restart', { backend, from, to, reason: reason && scrubText(reason) }));
    this.#on(channels.serverStartFailed, ({ backend, reason, retryIn }) =>
      this.#line('warn', 'server_start_failed', { backend, reason: scrubText(reason), retryIn: Math.round(retryIn) }));
    this.#on(channels.workspaceFailed, ({ user, message }) => this.#line('warn', 'workspace_failed', { user, message: scrubText(message) }));
    this.#on(channels.orphansEnded, ({ processes }) => this.#line('warn', 'orphans_ended', { processes }));
    this.#on(channels.backendLink, ({ backend, change, reason, links }) =>
      this.#line('debug', `backend_link_${change}`, { backend, reason: scrubText(reason), links }));
    this.#on(channels.backendLine, ({ backend, stream, line }) =>
      this.#line('debug', 'backend_line', { backend, stream, line: scrubText(line) }));
    this.#on(channels.storeState, ({ up, reason }) =>
      this.#line(up && reason === undefined ? 'info' : 'warn', up ? 'store_up' : 'store_down', { reason: reason === undefined ? undefined : scrubText(reason) }));
    this.#on(channels.backendRecycle, ({ backend, run, reason, step, detail, durationMs }) =>
      this.#line(step === 'failed' || step === 'killed' ? 'warn' : 'info', 'backend_recycle', {
        backend, run, reason, step, detail: scrubText(detail), durationMs: durationMs === undefined ? undefined : Math.round(durationMs),
      }));
    this.#on(channels.rollOver, ({ stopped, backend, reason }) =>
      this.#line(stopped ? 'error' : 'info', stopped ? 'roll_over_stopped' : 'roll_over_resumed', { backend, reason: reason && scrubText(reason) }));
    this.#on(channels.sessionTaken, ({ sessionId, from, to, direction }) =>
      this.#line(direction === 'out' ? 'warn' : 'info', 'session_taken', { sessionId, from, to, direction }));
    this.#on(channels.instance, ({ instance, change }) => this.#line('warn', `instance_${change}`, { instance }));
    this.#on(channels.backendVersion, ({ backend, version, protocolVersion, nudge }) =>
      this.#line('info', 'backend_version', { backend, version, protocolVersion, nudge }));
    this.#on(channels.backendWarmUp, ({ backend, step, durationMs, reason }) =>
      this.#line(WARM_UP_LEVELS[step], 'backend_warm_up', {
        backend, step, durationMs: durationMs === undefined ? undefined : Math.round(durationMs), reason: reason && scrubText(reason),
      }));
  }

  #subscribeOperation(): void {
    this.#on(channels.configReloaded, ({ file, reloaded, needsRestart }) =>
      this.#line(needsRestart.length > 0 ? 'warn' : 'info', 'config_reloaded', { file, reloaded, needsRestart }));
    this.#on(channels.configRejected, ({ file, problems }) =>
      this.#line('error', 'config_rejected', { file, problems }));
    this.#on(channels.lifecycle, ({ phase, detail, listener, address }) =>
      this.#line('info', phase, { listener, address, detail }));
    this.#on(channels.registryError, ({ operation, message }) =>
      this.#line('error', 'registry_error', { operation, message: scrubText(message) }));
    this.#on(channels.stateFault, ({ sessionId, backend, code, detail, first }) => {
      if (!first) return;
      this.#line(code === 'EIO' ? 'error' : 'warn', 'state_fault', { sessionId, backend, code, detail: detail && scrubText(detail) });
    });
    this.#on(channels.bug, ({ where, error }) =>
      this.#line('error', 'bug', { where, error: scrubError(error) }));
  }
}
