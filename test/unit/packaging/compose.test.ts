import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseAddress, parseBackendUrl } from '../../../config/address.js';
import { loadConfig } from '../../../config/load.js';
import type { SkyportConfig } from '../../../config/schema.js';

const ROOT = path.join(import.meta.dirname, '../../..');
const TOKENS = { CLI_1_TOKEN: 'one', CLI_2_TOKEN: 'two', CLI_3_TOKEN: 'three' };

interface Service {
  image: string;
  init?: boolean;
  entrypoint?: string[];
  command?: string[];
  environment?: Record<string, string>;
  ports?: string[];
  volumes: string[];
  networks: string[];
  healthcheck?: { test: string[] };
  stop_grace_period?: string;
}

const composeText = read('docker-compose.yml');
const compose = parse(composeText, { merge: true }) as { services: Record<string, Service>; networks: object; volumes: object };
const { skyport, redis, ...servers } = compose.services as Record<'skyport' | 'redis' | string, Service>;
const config = load('config/examples/compose.yaml');

function read(file: string): string {
  return readFileSync(path.join(ROOT, file), 'utf8');
}

function load(file: string): SkyportConfig {
  const { config: loaded, problems } = loadConfig(path.join(ROOT, file), TOKENS);
  expect(problems).toEqual([]);
  return loaded!;
}

/** The container's side of a mount, by what is mounted. */
function mounts({ volumes }: Service): Map<string, string> {
  return new Map(volumes.map((volume) => volume.split(':').slice(0, 2) as [string, string]));
}

function ports(listen: SkyportConfig['listen']): number[] {
  return listen.map((listener) => parseAddress(listener.tcp ?? listener.http!)!.port);
}

describe('docker-compose.yml', () => {
  test('mounts nothing of the host but what is there, and starts Skyport with a config that is in it', () => {
    const fromHost = Object.values(compose.services).flatMap((service) => [...mounts(service)]).filter(([source]) => /^[./]/.test(source));
    for (const [source] of fromHost) expect(existsSync(path.join(ROOT, source)), source).toBe(true);
    const [, , file] = skyport!.command!;
    const [source, target] = fromHost.find(([, mounted]) => file!.startsWith(`${mounted}/`))!;
    expect(path.join(source, path.relative(target, file!))).toBe('config/examples/compose.yaml');
  });

  test('has each volume and network declared, and no other', () => {
    const used = Object.values(compose.services);
    const volumes = used.flatMap((service) => [...mounts(service).keys()]).filter((source) => !/^[./]/.test(source));
    expect([...new Set(volumes)].sort()).toEqual(Object.keys(compose.volumes).sort());
    expect([...new Set(used.flatMap(({ networks }) => networks))].sort()).toEqual(Object.keys(compose.networks).sort());
  });

  test('runs a CLI server for each backend of the config, on its port and with its token', () => {
    const found = Object.entries(servers).map(([name, { command, environment }]) => ({
      name, port: Number(command![command!.indexOf('--port') + 1]), token: variable(environment!['COPILOT_CONNECTION_TOKEN']!),
    }));
    const wanted = config.backends.map(({ name, url, token }) => {
      const { host, port } = parseBackendUrl(url)!;
      expect(host).toBe(name);
      return { name, port, token: Object.entries(TOKENS).find(([, value]) => value === token)![0] };
    });
    expect(found).toEqual(wanted);
  });

  test('gives Skyport every variable of its config', () => {
    const named = [...read('config/examples/compose.yaml').matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name);
    expect(Object.keys(skyport!.environment!).sort()).toEqual(named.sort());
    for (const [name, value] of Object.entries(skyport!.environment!)) expect(variable(value)).toBe(name);
  });

  test('needs no variable that .env.example does not name', () => {
    const needed = new Set([...composeText.matchAll(/(?<!\$)\$\{(\w+)/g)].map(([, name]) => name!));
    const named = read('.env.example').split('\n').flatMap((line) => /^(\w+)=$/.exec(line)?.[1] ?? []);
    expect([...needed].sort()).toEqual(named.sort());
  });

  test('publishes Skyport\'s listeners, on loopback only, and nothing else', () => {
    const published = skyport!.ports!.map((port) => /^127\.0\.0\.1:(\d+):(\d+)$/.exec(port)!.slice(1).map(Number));
    expect(published).toEqual(ports(config.listen).map((port) => [port, port]));
    for (const service of [redis!, ...Object.values(servers)]) expect(service.ports).toBeUndefined();
  });

  test('keeps Skyport\'s store, its tokens and each server\'s home in volumes of their own', () => {
    expect(mounts(skyport!).get('skyport-data')).toBe(config.store.path);
    expect(path.dirname(config.identity.tokens_file!)).toBe(config.store.path);
    for (const [name, service] of Object.entries(servers)) {
      expect(service.environment!['COPILOT_HOME']).toBe(`${mounts(service).get(`${name}-data`)}/home`);
    }
  });

  test('shares the workspaces between Skyport and the servers', () => {
    for (const service of [skyport!, ...Object.values(servers)]) {
      expect(mounts(service).get('workspaces')).toBe(config.fleet.working_directory);
    }
  });

  test('lets an agent\'s shell reach neither the store nor what clients use', () => {
    for (const service of Object.values(servers)) expect(service.networks).toEqual(['backends']);
    expect(redis!.networks).toEqual(['store']);
    expect(skyport!.networks).toContain('backends');
  });

  test('has an init and a health check everywhere, and waits longer than Skyport drains', () => {
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service.init, name).toBe(true);
      if (name !== 'skyport') expect(service.healthcheck, name).toBeDefined();
    }
    expect(Number.parseInt(skyport!.stop_grace_period!, 10) * 1_000).toBeGreaterThan(config.shutdown.drain);
  });
});

describe('the Dockerfile', () => {
  const text = read('Dockerfile');
  const container = load('config/examples/container.yaml');

  test('copies only what is there and what .dockerignore lets through', () => {
    const sources = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, list]) => list!.split(' '));
    const letThrough = read('.dockerignore').split('\n').flatMap((line) => /^!(.+)$/.exec(line)?.[1] ?? []);
    expect(sources.length).toBeGreaterThan(5);
    for (const source of sources) {
      expect(existsSync(path.join(ROOT, source)), source).toBe(true);
      expect(letThrough.some((entry) => source === entry || source.startsWith(`${entry}/`)), source).toBe(true);
    }
  });

  test('exposes the listeners of its config and asks the HTTP one for its health', () => {
    expect(/^EXPOSE (.+)$/m.exec(text)![1]!.split(' ').map(Number)).toEqual(ports(container.listen));
    const http = container.listen.find((listener) => listener.http !== undefined)!.http!;
    expect(text).toContain(`fetch('http://127.0.0.1:${parseAddress(http)!.port}/readyz')`);
  });

  test('runs as a user of its own who may write where the config keeps things', () => {
    const volumes = JSON.parse(/^VOLUME (.+)$/m.exec(text)![1]!) as string[];
    expect(volumes).toEqual([container.store.path, container.fleet.working_directory]);
    for (const volume of volumes) expect(text).toMatch(new RegExp(`install -d -o node -g node .*${volume}( \\\\)?$`, 'm'));
    expect(text.indexOf('\nUSER node')).toBeGreaterThan(text.lastIndexOf('\nRUN'));
    expect(path.dirname(container.identity.tokens_file!)).toBe(container.store.path);
  });

  test('has the runtime under the name that docker-compose.yml starts', () => {
    for (const { entrypoint, image } of Object.values(servers)) {
      expect(entrypoint).toEqual(['copilot-runtime']);
      expect(image).toBe(skyport!.image);
    }
    expect(text).toContain(' /usr/local/bin/copilot-runtime ');
  });
});

/** `${NAME:?…}` → NAME */
function variable(text: string): string | undefined {
  return /^\$\{(\w+):\?[^}]+\}$/.exec(text)?.[1];
}
