import { isIPv4, isIPv6 } from 'node:net';

/** Failed logins of one connection; the connection owns it and starts with 0. */
export interface LoginAttempts {
  failures: number;
}

export interface FailureVerdict {
  /** The refusal is to be sent after this many ms. */
  delayMs: number;
  /** The connection is to be closed after the refusal. */
  cut: boolean;
}

interface Offender {
  failures: number;
  /** When the failures were last counted, in ms. */
  at: number;
}

const FIRST_DELAY = 200;
const LONGEST_DELAY = 5_000;
/** One failure is forgotten for every so many ms without another. */
const FORGET_ONE = 30_000;
/** More do not make the delay longer, and so need no longer time to be forgotten. */
const MOST_FAILURES = 10;
const MOST_ADDRESSES = 10_000;
const FAILURES_PER_CONNECTION = 3;

/**
 * Slows down guessing: each failed login of an address doubles the time until it is answered, and a
 * connection is cut after a few. All times come from the caller, in ms of one clock.
 */
export class LoginThrottle {
  /** In the order of their last failure, the oldest first. */
  readonly #offenders = new Map<string, Offender>();

  /** How many addresses are remembered. */
  get size(): number {
    return this.#offenders.size;
  }

  /** Counts a failed login, for the address and for the connection. */
  failure(remote: string, now: number, attempts: LoginAttempts): FailureVerdict {
    attempts.failures++;
    const network = networkOf(remote);
    const failures = Math.min(MOST_FAILURES, this.#failures(network, now) + 1);
    this.#offenders.delete(network);
    this.#offenders.set(network, { failures, at: now });
    if (this.#offenders.size > MOST_ADDRESSES) {
      for (const oldest of this.#offenders.keys()) {
        this.#offenders.delete(oldest);
        break;
      }
    }
    return { delayMs: delayAfter(failures), cut: attempts.failures >= FAILURES_PER_CONNECTION };
  }

  /** A login with a good token: the address is trusted again. */
  success(remote: string): void {
    this.#offenders.delete(networkOf(remote));
  }

  /** Forgets the addresses that have done nothing wrong for long; called by the janitor. */
  sweep(now: number): void {
    for (const network of this.#offenders.keys()) {
      if (this.#failures(network, now) === 0) this.#offenders.delete(network);
    }
  }

  #failures(network: string, now: number): number {
    const offender = this.#offenders.get(network);
    if (offender === undefined) return 0;
    return Math.max(0, offender.failures - Math.floor(Math.max(0, now - offender.at) / FORGET_ONE));
  }
}

function delayAfter(failures: number): number {
  return failures === 0 ? 0 : Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (failures - 1));
}

/** One IPv4 address, or one IPv6 /64: whoever has one address of a /64 has all of them. */
function networkOf(peer: string): string {
  const remote = withoutPort(peer);
  const mapped = /^::ffff:([0-9.]+)$/i.exec(remote)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  if (!isIPv6(remote)) return remote;
  const [head = '', tail] = (remote.split('%')[0] ?? '').toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = tail === undefined ? left : [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  return groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}

/** `1.2.3.4:5`, `[::1]:5`: a peer's port says nothing about who it is. */
function withoutPort(peer: string): string {
  return /^\[([^\]]+)\](?::\d+)?$/.exec(peer)?.[1] ?? /^([^:]+):\d+$/.exec(peer)?.[1] ?? peer;
}
