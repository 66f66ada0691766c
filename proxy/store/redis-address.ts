/**
 * Where Redis is and how to get in: one URL for a single server, and for Sentinel and Cluster the
 * same URL for the credentials, with the addresses of their nodes beside it.
 */
import { readFileSync } from 'node:fs';
import type { ClusterOptions, RedisOptions } from 'ioredis';

/** The `store` section of the configuration, as far as Redis needs it. */
export interface RedisSettings {
  /** `redis[s]://[user[:password]@]host[:port][/database]`; `rediss` is TLS. */
  readonly url: string;
  /** The master's address comes from the sentinels; the one in the URL is not used then. */
  readonly sentinel?: { readonly name: string; readonly nodes: readonly string[]; readonly password?: string | undefined } | undefined;
  /** More nodes to ask for the cluster's layout, beside the one in the URL. */
  readonly cluster?: { readonly nodes: readonly string[] } | undefined;
  /** Begins every key and channel. Without braces: those are for the slots of a cluster. */
  readonly prefix: string;
  /** Milliseconds that a call may take in all, with every repetition. */
  readonly timeout: number;
  /** PEM certificates that a TLS server is checked with, in place of those that Node trusts. */
  readonly ca_file?: string | undefined;
}

export interface Node {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  /** For messages: without user and password. */
  readonly shown: string;
  readonly standalone: RedisOptions;
  /** Undefined when it is not a cluster. */
  readonly cluster: { readonly nodes: readonly Node[]; readonly options: ClusterOptions } | undefined;
}

const PORT = 6379;
const SENTINEL_PORT = 26_379;

/**
 * @throws when the URL is none or the file with the certificates cannot be read; the message never
 * holds the URL, which may hold a password
 */
export function redisAddress(settings: RedisSettings): RedisAddress {
  const { sentinel, cluster, timeout } = settings;
  const url = parse(settings.url);
  const tls = url.protocol === 'rediss:'
    ? { tls: { ...(settings.ca_file === undefined ? {} : { ca: readFileSync(settings.ca_file, 'utf8') }) } } : {};
  const self: Node = { host: hostOf(url.hostname), port: url.port === '' ? PORT : Number(url.port) };
  const every: RedisOptions = {
    ...tls,
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    connectTimeout: timeout / 2,
    // A socket that gives no answer is closed in time to try once more on a new one.
    socketTimeout: timeout / 2,
    keepAlive: 10_000,
    connectionName: 'skyport',
    // What is repeated is decided in one place (RedisClient), never below it: a write that is sent
    // twice by a library would be carried out twice.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  };
  const common: RedisOptions = {
    ...every,
    enableOfflineQueue: false,
    retryStrategy: pause,
    // The master has become a replica: the next connection finds the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    db: url.pathname.length > 1 ? Number(url.pathname.slice(1)) : 0,
  };
  if (cluster !== undefined) {
    const nodes = [self, ...cluster.nodes.map((node) => parseNode(node, PORT))];
    return {
      shown: `cluster ${nodes.map(show).join(',')}`,
      standalone: common,
      cluster: {
        nodes,
        options: {
          redisOptions: every, enableOfflineQueue: false, clusterRetryStrategy: pause, slotsRefreshTimeout: timeout / 2,
          retryDelayOnFailover: 0,
        },
      },
    };
  }
  if (sentinel !== undefined) {
    const sentinels = sentinel.nodes.map((node) => parseNode(node, SENTINEL_PORT));
    return {
      shown: `${sentinel.name} of sentinels ${sentinels.map(show).join(',')}`,
      standalone: {
        ...common, sentinels, name: sentinel.name, role: 'master', sentinelRetryStrategy: pause,
        ...(sentinel.password === undefined ? {} : { sentinelPassword: sentinel.password }),
        ...(url.protocol === 'rediss:' ? { enableTLSForSentinelMode: true, sentinelTLS: tls.tls } : {}),
      },
      cluster: undefined,
    };
  }
  return { shown: `${url.protocol}//${show(self)}`, standalone: { ...common, ...self }, cluster: undefined };
}

/** Milliseconds until the next try to connect. */
function pause(times: number): number {
  return Math.min(25 * 2 ** Math.min(times, 10), 500);
}

function parse(text: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Its error holds the whole URL.
  }
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === '' || !/^(\/\d*)?$/.test(url.pathname)) {
    throw new Error('store.url is not redis://[user:password@]host[:port][/database]');
  }
  return url;
}

function parseNode(text: string, port: number): Node {
  const match = /^(?<host>\[[^\]]+\]|[^:]+)(:(?<port>\d+))?$/.exec(text);
  if (match === null) throw new Error(`${text} is not host:port`);
  return { host: hostOf(match.groups!.host!), port: Number(match.groups!.port ?? port) };
}

function hostOf(text: string): string {
  return text.replace(/^\[|\]$/g, '');
}

function show({ host, port }: Node): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
