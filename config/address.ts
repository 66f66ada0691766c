import { isIPv4, isIPv6 } from 'node:net';

/** Where to listen and where a backend is: `host:port`, `[::1]:port`, `tcp://host:port`. */

export interface Address {
  /** Without brackets, ready for `net.connect` and `net.listen`. */
  host: string;
  port: number;
}

const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?$/;
const DIGITS_AND_DOTS = /^[0-9.]+$/;

/** Reads `host:port`; port 0 asks the system for a free one. Undefined when it is not an address. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const host = match[1] ?? match[2] ?? '';
  const port = Number(match[3]);
  if (port > 65_535) return undefined;
  const known = match[1] === undefined ? isHost(host) : isIPv6(host);
  return known ? { host, port } : undefined;
}

function isHost(text: string): boolean {
  if (DIGITS_AND_DOTS.test(text)) return isIPv4(text);
  return text.length <= 253 && NAME.test(text);
}

/** Reads `tcp://host:port` of a backend: nothing before the host, nothing after the port, no port 0. */
export function parseBackendUrl(url: string): Address | undefined {
  return url.startsWith('tcp://') ? parseNodeAddress(url.slice('tcp://'.length)) : undefined;
}

/** Reads `host:port` of something that listens already: no port 0. */
export function parseNodeAddress(text: string): Address | undefined {
  const address = parseAddress(text);
  return address === undefined || address.port === 0 ? undefined : address;
}

/** Whether it is `redis[s]://[user[:password]@]host[:port][/database]`. */
export function parseRedisUrl(text: string): boolean {
  if (!/^rediss?:\/\/[^\s?#]+$/.test(text) || !URL.canParse(text)) return false;
  const { hostname, pathname, username, password } = new URL(text);
  return hostname !== '' && /^(\/\d{0,5})?$/.test(pathname) && isEncoded(username) && isEncoded(password);
}

function isEncoded(text: string): boolean {
  return !/%(?![0-9A-Fa-f]{2})/.test(text);
}

/** True when only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

/** True when both cannot be listened on at once: the same port on the same address, or on one that covers it. */
export function collide(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const [x, y] = [canonical(a.host), canonical(b.host)];
  return x === y || covers(x, y) || covers(y, x);
}

function canonical(host: string): string {
  return host === 'localhost' ? '127.0.0.1' : host.toLowerCase();
}

/** `::` is dual-stack on all the systems that Skyport runs on, so it takes IPv4 too. */
function covers(wildcard: string, host: string): boolean {
  return wildcard === '::' || (wildcard === '0.0.0.0' && !host.includes(':'));
}
