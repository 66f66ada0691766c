/**
 * What Skyport knows about one method: the entry of the catalogue. The classification/ tables are
 * written by hand, one line a method; a test holds them against the schema of the installed SDK.
 */

/**
 * Where a call goes.
 *   handshake  `connect` and `ping`: the client's own connection answers
 *   local      Skyport answers, no backend is asked
 *   any        any backend may answer
 *   session    the backend that `params.sessionId` is bound to
 *   fanout     every backend that may know something; answers are merged and filtered (guard/fanout.ts)
 *   refuse     never passed on, whatever the profile and the opened rules
 */
export type Route = 'handshake' | 'local' | 'any' | 'session' | 'fanout' | 'refuse';

/**
 * How a call on a session is ordered among its other calls (sessions/order.ts).
 *   none       not ordered: reads, and every answer to a request of the server
 *   write      ordered; holds later ones until it is answered
 *   long       ordered, but holds nobody: its answer may need the client itself, or take minutes
 *   interrupt  waits only for earlier short writes, never behind a long one
 */
export type Order = 'none' | 'write' | 'long' | 'interrupt';

export type Life = 'create' | 'resume' | 'detach' | 'destroy' | 'delete' | 'close';

/** What a caller gets who names a session that is unknown or somebody else's; measured on 1.0.85. */
export type UnknownSession =
  /** The error "Session not found for sessionId: X". */
  | 'refuse'
  /** `{}` (session.getMetadata, sessions.getMetadata). */
  | 'empty'
  /** `{"success":true}` (session.detach). */
  | 'detached'
  /** `{"success":false}` (session.destroy). */
  | 'destroyed';

/** The guard's rules by name; what they mean is in guard/rules.ts. */
export const RULE_NAMES = [
  'administrative', 'config_directory', 'config_discovery', 'debug_logs', 'extensions', 'feature_flags',
  'github_credentials', 'host_discovery', 'host_environment', 'host_paths', 'instruction_directories',
  'mcp_commands', 'mcp_oauth_login', 'permissions_unrestricted', 'persisted_permissions', 'plugin_directories',
  'providers', 'remote_sessions', 'runtime_internal', 'sandbox', 'shared_commands', 'shared_settings',
  'shared_caches', 'shared_stores', 'shell_exec', 'shell_options', 'single_user_server', 'skill_directories', 'slash_commands',
  'telemetry_forwarding', 'tool_execution', 'uncatalogued', 'working_directory',
] as const;
export type RuleName = (typeof RULE_NAMES)[number];

/** A place in the parameters where session ids travel, besides `params.sessionId`. */
export interface Carrier {
  /** `a`, `a.b`, `a[]` or `a[].b`. */
  readonly path: string;
}

export interface MethodSpec {
  readonly name: string;
  readonly route: Route;
  /** Catalogued top-level parameters; under profile tenant all others are refused. */
  readonly params: ReadonlySet<string>;
  readonly carriers: readonly Carrier[];
  /** Where the result names sessions, as the schema tells; a fanout is filtered there. */
  readonly resultIds: readonly string[];
  /** Path in the result of a new session's id, which belongs to the caller's owner from then on. */
  readonly registers?: string;
  readonly order: Order;
  /** Parameters whose presence makes the call `long`, whatever `order` says. */
  readonly longWith: readonly string[];
  readonly life?: Life;
  /** The answer means that the agent loop was started: a `session.idle` will follow. */
  readonly opensTurn: boolean;
  readonly unknownSession: UnknownSession;
  /** Rules that must be open for the caller to use the method at all. */
  readonly rules: readonly RuleName[];
}

type Extra = Partial<Pick<MethodSpec, 'order' | 'life' | 'opensTurn' | 'registers' | 'unknownSession' | 'longWith' | 'resultIds' | 'rules'>> & {
  /** Paths of carriers. */
  readonly ids?: readonly string[];
};

function method(route: Route, name: string, params: string, extra: Extra): MethodSpec {
  const { ids = [], ...rest } = extra;
  return {
    name,
    route,
    params: new Set(params.split(/\s+/).filter(Boolean)),
    carriers: ids.map((path) => ({ path })),
    resultIds: [],
    order: 'none',
    longWith: [],
    opensTurn: false,
    unknownSession: 'refuse',
    rules: [],
    ...rest,
  };
}

/** @param params names separated by blanks; `sessionId` is added */
export function onSession(name: string, params = '', extra: Extra = {}): MethodSpec {
  return method('session', name, `sessionId ${params}`, extra);
}

export function onAny(name: string, params = '', extra: Extra = {}): MethodSpec {
  return method('any', name, params, extra);
}

export function fanout(name: string, params = '', extra: Extra = {}): MethodSpec {
  return method('fanout', name, params, extra);
}

export function local(name: string, params = ''): MethodSpec {
  return method('local', name, params, {});
}

export function handshake(name: string, params: string): MethodSpec {
  return method('handshake', name, params, {});
}

/** @param rule names the reason; it cannot be opened */
export function never(name: string, rule: RuleName): MethodSpec {
  return method('refuse', name, '', { rules: [rule] });
}
