/**
 * Label values that stay few whatever clients send: a label with free text would let one client fill
 * the memory of Skyport and of the Prometheus behind it.
 */
import { lookup } from '../protocol/catalogue.js';

/** The method's name if a client can call it at all, else `unknown`. */
export function methodLabel(method: string): string {
  return lookup(method) === undefined ? 'unknown' : method;
}

/** The kinds of request whose durations are worth comparing. */
export const REQUEST_KINDS = ['lifecycle', 'send', 'session', 'fanout', 'server', 'unknown'] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

/**
 * `lifecycle`: a session is created, resumed, left or deleted; `send`: a message for a session;
 * `session`: any other call on one session; `fanout`: answered for all backends at once; `server`:
 * without a session; `unknown`: not in the catalogue.
 */
export function requestKind(method: string): RequestKind {
  const spec = lookup(method);
  if (spec === undefined) return 'unknown';
  if (method === 'session.send') return 'send';
  if (spec.life !== undefined) return 'lifecycle';
  return spec.route === 'session' || spec.route === 'fanout' ? spec.route : 'server';
}

/** The states of a backend that always have a series, so that an alert can name one before it occurs. */
export const BACKEND_STATES = ['starting', 'up', 'down', 'ejected'] as const;
