/** The method catalogue: what Skyport does with each method, by name. Everything else is refused. */
import { ACCESS } from './classification/access.js';
import { CAPABILITIES } from './classification/capabilities.js';
import { CONVERSATION } from './classification/conversation.js';
import { SERVER } from './classification/server.js';
import { SESSIONS } from './classification/sessions.js';
import type { MethodSpec } from './method.js';
import { SERVER_REQUESTS, type ServerRequestSpec } from './server-requests.js';

export type { Carrier, Life, MethodSpec, Order, Route, RuleName, UnknownSession } from './method.js';
export type { Deliver, ServerRequestSpec } from './server-requests.js';

/** Every method that a client may name, in the order of the tables. */
export const METHODS: readonly MethodSpec[] = [...SERVER, ...SESSIONS, ...CONVERSATION, ...CAPABILITIES, ...ACCESS];

const byName = new Map(METHODS.map((spec) => [spec.name, spec]));
const serverRequests = new Map(SERVER_REQUESTS.map((spec) => [spec.name, spec]));

/** A method that clients call; undefined means -32601 "Unhandled method NAME", as a server says. */
export function lookup(method: string): MethodSpec | undefined {
  return byName.get(method);
}

/** A request or notification of a CLI server; undefined is to be treated as `refuse`. */
export function lookupServerRequest(method: string): ServerRequestSpec | undefined {
  return serverRequests.get(method);
}

/** True for every catalogued name of either direction: what may become a metric's label. */
export function isKnownMethod(method: string): boolean {
  return byName.has(method) || serverRequests.has(method);
}

/** `order` of a call with these top-level parameters: some parameters turn a short write into a long one. */
export function orderOf(spec: MethodSpec, keys: readonly string[]): MethodSpec['order'] {
  return spec.longWith.length > 0 && spec.longWith.some((name) => keys.includes(name)) ? 'long' : spec.order;
}
