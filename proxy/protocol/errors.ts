/**
 * Every error that Skyport itself answers with: one catalogue feeds replies, metrics, logs and
 * docs/errors.md. Codes that the runtime has a number for are the runtime's (PROTOCOL: handshake);
 * a session that is not the caller's answers like one that does not exist, so that nothing is
 * learned from the difference. All others live in -32050..-32099, JSON-RPC's range for servers.
 */

/** Who has to change something for the error to go away. */
export type Side = 'client' | 'backend' | 'proxy';

export interface ErrorSpec {
  /** JSON-RPC error code. */
  readonly code: number;
  readonly side: Side;
  /** True when the very same call may succeed later without any change by the caller. */
  readonly retryable: boolean;
  /** Default message; a refusal may be more specific. Never holds a token, a key or a prompt. */
  readonly message: string;
  /** For docs/errors.md: what it means and what to do. */
  readonly meaning: string;
  readonly remedy: string;
}

export const ERRORS = {
  SKYPORT_PARSE_ERROR: {
    code: -32700, side: 'client', retryable: false, message: 'Parse error',
    meaning: 'The message is not valid JSON in UTF-8, or is nested deeper than a CLI server reads.',
    remedy: 'Fix the client. The connection stays open, other requests are not affected.',
  },
  SKYPORT_INVALID_REQUEST: {
    code: -32600, side: 'client', retryable: false, message: 'Invalid request',
    meaning: 'Valid JSON, but not one JSON-RPC 2.0 message that every parser reads the same way: a batch, a missing `jsonrpc`, an id that is neither an integer nor a string, a key that is given twice.',
    remedy: 'Fix the client.',
  },
  SKYPORT_INVALID_PARAMS: {
    code: -32602, side: 'client', retryable: false, message: 'Invalid params',
    meaning: 'A parameter that Skyport has to understand is missing or has the wrong type.',
    remedy: 'Fix the call; the message names the parameter.',
  },
  SKYPORT_METHOD_UNKNOWN: {
    code: -32601, side: 'client', retryable: false, message: 'Unhandled method',
    meaning: 'The method is not in the catalogue of the CLI server version that this Skyport was built for.',
    remedy: 'Check the spelling; a new method needs a newer Skyport.',
  },
  SKYPORT_DUPLICATE_ID: {
    code: -32600, side: 'client', retryable: false, message: 'A request with this id is still waiting for its answer',
    meaning: 'Two requests of one connection were under way with the same id.',
    remedy: 'Give each request an id of its own.',
  },
  SKYPORT_FRAME_INVALID: {
    code: -32600, side: 'client', retryable: false, message: 'Invalid frame',
    meaning: 'The header of a frame is malformed, over 8 KiB, without a Content-Length or with one that is not strict decimal digits; or a WebSocket message is not text. The connection is closed, since the next frame cannot be found.',
    remedy: 'Fix the client.',
  },
  SKYPORT_FRAME_TOO_LARGE: {
    code: -32600, side: 'client', retryable: false, message: 'Frame larger than limits.max_frame',
    meaning: 'A message is larger than `limits.max_frame`. The connection is closed.',
    remedy: 'Send less, or raise `limits.max_frame`.',
  },
  SKYPORT_AUTHENTICATION_REQUIRED: {
    code: -32001, side: 'client', retryable: false, message: 'AUTHENTICATION_REQUIRED',
    meaning: 'A call came before a successful `connect`, and this listener has no anonymous user.',
    remedy: 'Give the SDK a connection token.',
  },
  SKYPORT_AUTHENTICATION_FAILED: {
    code: -32002, side: 'client', retryable: false, message: 'AUTHENTICATION_FAILED',
    meaning: 'The connection token is missing or not known.',
    remedy: 'Check the token; `skyport token` makes a new one.',
  },
  SKYPORT_AUTHENTICATION_NOT_CONFIGURED: {
    code: -32003, side: 'client', retryable: false, message: 'AUTHENTICATION_NOT_CONFIGURED',
    meaning: 'A token was sent to a listener that has no use for one.',
    remedy: 'Leave the token out, or configure `identity.tokens_file`.',
  },
  SKYPORT_HANDSHAKE_TIMEOUT: {
    code: -32050, side: 'client', retryable: true, message: 'No handshake in time',
    meaning: 'The connection did not authenticate within `limits.handshake_timeout`.',
    remedy: 'Connect again; check for a client that opens connections it does not use.',
  },
  SKYPORT_ALREADY_CONNECTED: {
    code: -32051, side: 'client', retryable: false, message: 'This connection already belongs to another user',
    meaning: 'A second `connect` named another user than the first. A connection has one user for its life.',
    remedy: 'Open another connection.',
  },
  SKYPORT_SESSION_NOT_OWNED: {
    code: -32603, side: 'client', retryable: false, message: 'Session not found',
    meaning: 'The session does not exist or is not the caller\'s. The two are not told apart.',
    remedy: 'Check the session id and the user the connection authenticated as.',
  },
  SKYPORT_SESSION_ID_INVALID: {
    code: -32602, side: 'client', retryable: false, message: 'Invalid session id',
    meaning: 'A session id is not 1 to 128 characters of A-Z a-z 0-9 _ -, the set that every CLI server accepts.',
    remedy: 'Use a UUID, or letters, digits, dashes and underscores.',
  },
  SKYPORT_SESSION_ID_REFUSED: {
    code: -32052, side: 'client', retryable: false, message: 'This user may not create a session with this id',
    meaning: 'A service principal asked for a session id that does not match its `session_pattern`, or another user asked for one that names somebody else by that pattern.',
    remedy: 'Use an id that matches the pattern and names the user the session is for.',
  },
  SKYPORT_SESSION_LOST: {
    code: -32053, side: 'backend', retryable: true, message: 'The session is not attached any more: its CLI server went away',
    meaning: 'The CLI server that held the session went away and the session could not be attached again.',
    remedy: 'Resume the session.',
  },
  SKYPORT_SESSION_BUSY: {
    code: -32054, side: 'client', retryable: true, message: 'Too many clients are attached to this session',
    meaning: 'Each attachment of a session needs a link of its own, and `links.max` of them are in use for this session.',
    remedy: 'Detach a client, or raise `links.max`.',
  },
  SKYPORT_METHOD_REFUSED: {
    code: -32055, side: 'client', retryable: false, message: 'Method refused',
    meaning: 'The guard refuses this method to this user; the message names the rule.',
    remedy: 'Do without it, or have the operator open the rule for a role (`guard.open`).',
  },
  SKYPORT_PARAMETER_REFUSED: {
    code: -32056, side: 'client', retryable: false, message: 'Parameter refused',
    meaning: 'The guard refuses a parameter or its value to this user; the message names both and the rule.',
    remedy: 'Leave the parameter out, or have the operator open the rule for a role (`guard.open`).',
  },
  SKYPORT_PROVIDER_REFUSED: {
    code: -32057, side: 'client', retryable: false, message: 'A process-wide provider cannot be registered through Skyport',
    meaning: 'A CLI server has one session file system and one inference provider for all its sessions; whoever registers sees every user\'s files, prompts and keys.',
    remedy: 'The message names the alternative: a `provider` in `session.create` for inference; Skyport\'s own store for session files.',
  },
  SKYPORT_READ_ONLY: {
    code: -32058, side: 'client', retryable: false, message: 'This session is shared with you for reading',
    meaning: 'The caller may read the session and not write to it: what changes it, and answers to prompts, are refused.',
    remedy: 'Ask for the session to be shared as writer: `skyport share SESSION --with USER --as writer`.',
  },
  SKYPORT_OWNER_ONLY: {
    code: -32059, side: 'client', retryable: false, message: 'Only the owner of a session may do this',
    meaning: 'The session is shared with the caller, but this is its owner\'s alone: deleting, closing, forking, rewinding, and whatever changes its permissions, options or reach.',
    remedy: 'Have the owner do it.',
  },
  SKYPORT_ACCESS_ENDED: {
    code: -32064, side: 'client', retryable: false, message: 'Your access to this session has ended',
    meaning: 'A share of the session was taken away, or the role or rule that gave access. Clients that had it attached get a `session.error` event with this name; from then on the session does not exist for them.',
    remedy: 'Ask the owner of the session or the operator.',
  },
  SKYPORT_SESSION_IN_USE: {
    code: -32065, side: 'client', retryable: true, message: 'Session is in use',
    meaning: 'A turn of another client runs on the session; the message names its user. With `sessions.writers: reject` a second writer is refused at once, with `queue` after it has waited for `sessions.writers_wait`, or when too many messages wait already. The message was not passed on.',
    remedy: 'Send it again when the turn is over: the `session.idle` event tells.',
  },
  SKYPORT_TOO_MANY_CLIENTS: {
    code: -32060, side: 'proxy', retryable: true, message: 'Too many clients',
    meaning: '`limits.clients` connections are open.',
    remedy: 'Try again later, or raise the limit.',
  },
  SKYPORT_TOO_MANY_SESSIONS: {
    code: -32061, side: 'client', retryable: true, message: 'Too many sessions',
    meaning: 'The user owns `limits.sessions_per_user` sessions (or `limits.roles.<role>.sessions`), or all users with his role own `limits.roles.<role>.all.sessions`.',
    remedy: 'Delete sessions, or raise the limit.',
  },
  SKYPORT_TURN_LIMIT: {
    code: -32066, side: 'client', retryable: true, message: 'Too many turns',
    meaning: 'The user has as many turns as `limits.turns` or `limits.roles` allow him, or all users with his role together, at one time or within a minute; as many messages as may wait for that already do, or this one has waited for as long as it may. It was not passed on. `data.retryAfterMs` is when another try may be worth it.',
    remedy: 'Send it again after `data.retryAfterMs` milliseconds, or raise the limit.',
  },
  SKYPORT_TOO_MANY_REQUESTS: {
    code: -32062, side: 'client', retryable: true, message: 'Too many requests under way',
    meaning: 'The connection has `limits.requests_per_client` requests waiting for their answers.',
    remedy: 'Wait for answers before sending more.',
  },
  SKYPORT_CLIENT_TOO_SLOW: {
    code: -32063, side: 'client', retryable: true, message: 'The client reads too slowly',
    meaning: 'More than `limits.client_buffer` bytes were waiting for a client that does not read. It was disconnected; nobody else was affected.',
    remedy: 'Read faster, connect again and resume.',
  },
  SKYPORT_NO_BACKEND: {
    code: -32070, side: 'backend', retryable: true, message: 'No CLI server can take this session now',
    meaning: 'Every CLI server is down, draining or full.',
    remedy: 'Try again later; `skyport status` shows why.',
  },
  SKYPORT_BACKEND_FULL: {
    code: -32076, side: 'backend', retryable: true, message: 'The CLI server of this session has no place for it now',
    meaning: '`sessions.max_active_per_backend` sessions are loaded on the CLI server, and none of them became idle while this one waited.',
    remedy: 'Try again later, raise the limit, or add CLI servers.',
  },
  SKYPORT_FLEET_FULL: {
    code: -32077, side: 'proxy', retryable: true, message: 'All CLI servers are in use; try again later',
    meaning: 'Each user has a CLI server of his own, `fleet.max_servers` of them run, and none became idle while this call waited (`fleet.wait`), or too many users wait already (`fleet.waiting`).',
    remedy: 'Try again later, or raise `fleet.max_servers`.',
  },
  SKYPORT_SERVER_FAILED: {
    code: -32078, side: 'backend', retryable: true, message: 'Your CLI server does not start',
    meaning: 'The CLI server of this user keeps ending, or cannot be started at all.',
    remedy: '`skyport status` and the log tell why; it is tried again after a while.',
  },
  SKYPORT_BACKEND_UNAVAILABLE: {
    code: -32071, side: 'backend', retryable: true, message: 'The CLI server of this session is unavailable',
    meaning: 'The session is bound to a CLI server that is down, ejected or no longer configured.',
    remedy: 'Try again later; `skyport status` shows the state of the server.',
  },
  SKYPORT_BACKEND_LOST: {
    code: -32072, side: 'backend', retryable: true, message: 'The CLI server went away before it answered',
    meaning: 'The connection to the CLI server broke while the call was waiting. It may or may not have been carried out.',
    remedy: 'Look at the session\'s history before repeating a call that changes something.',
  },
  SKYPORT_TURN_STALLED: {
    code: -32080, side: 'backend', retryable: true, message: 'Nothing has happened in this turn for too long; it was ended',
    meaning: 'Only in a `session.error` event: the turn was still for `sessions.stall_timeout`, though no tool ran and nobody was asked, and its CLI server did not end it when it was told to.',
    remedy: 'Send the message again. When it happens often, look at the model provider and at the load of the CLI servers.',
  },
  SKYPORT_BACKEND_PROTOCOL: {
    code: -32073, side: 'backend', retryable: true, message: 'The CLI server sent something that is not understood',
    meaning: 'A frame or an answer of the CLI server breaks the protocol.',
    remedy: 'Check the version of the CLI server.',
  },
  SKYPORT_REQUEST_CANCELLED: {
    code: -32800, side: 'client', retryable: true, message: 'Request cancelled',
    meaning: 'The client cancelled the request while it was waiting its turn in Skyport. A CLI server ignores cancellation, so a request that has been passed on cannot be cancelled.',
    remedy: 'None needed.',
  },
  SKYPORT_CLIENT_GONE: {
    code: -32074, side: 'client', retryable: false, message: 'The client that should answer is gone',
    meaning: 'Sent to a CLI server whose request was meant for a client that left.',
    remedy: 'None needed.',
  },
  SKYPORT_SHUTTING_DOWN: {
    code: -32000, side: 'proxy', retryable: true, message: 'SERVER_SHUTTING_DOWN',
    meaning: 'Skyport is shutting down and takes no new work.',
    remedy: 'Connect again; another Skyport or the restarted one answers.',
  },
  SKYPORT_STORE_UNAVAILABLE: {
    code: -32075, side: 'proxy', retryable: true, message: 'The registry could not be written',
    meaning: 'The store refused a write, so the owner of the session could not be recorded; the session was not created.',
    remedy: 'Check the disk of `store.path`.',
  },
  SKYPORT_INTERNAL_ERROR: {
    code: -32603, side: 'proxy', retryable: false, message: 'Internal error',
    meaning: 'A bug in Skyport; the log has the details.',
    remedy: 'Report it.',
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorName = keyof typeof ERRORS;

/** A typed "no": what a stage returns instead of going on. Exceptions are for bugs. */
export interface Refusal {
  readonly refused: true;
  readonly name: ErrorName;
  readonly code: number;
  readonly message: string;
  /** The guard's rule, where one decided. */
  readonly rule?: string;
  /** Milliseconds after which another try may be worth it, where that is known. */
  readonly retryAfterMs?: number;
}

/**
 * Makes a refusal.
 * @param message replaces the catalogue's; must not hold secrets
 */
export function refuse(name: ErrorName, message?: string, rule?: string): Refusal {
  const spec = ERRORS[name];
  return { refused: true, name, code: spec.code, message: message ?? spec.message, rule };
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && (value as Refusal).refused === true;
}

/** The one refusal for a session that is unknown or somebody else's; the text is the runtime's. */
export function refuseSession(sessionId: string): Refusal {
  return refuse('SKYPORT_SESSION_NOT_OWNED', `Session not found for sessionId: ${sessionId}`);
}

/**
 * The JSON text of an error answer.
 * @param idToken the request's id as JSON text (`7`, `"a"`), or `null` when it could not be read
 */
export function errorReply(idToken: string, refusal: Refusal): string {
  const spec = ERRORS[refusal.name];
  const { name, rule, retryAfterMs } = refusal;
  const data = { name, side: spec.side, retryable: spec.retryable, rule, retryAfterMs };
  return `{"jsonrpc":"2.0","id":${idToken},"error":${JSON.stringify({ code: refusal.code, message: refusal.message, data })}}`;
}
