import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { startRuntime } from '../support/runtime.js';
import { scopeOfEachTest } from '../support/scope.js';
import { freePorts } from '../support/ports.js';

const scope = scopeOfEachTest();

/** The health check of a service of docker-compose.yml as docker would run it, on another port. */
function healthcheck(service: string, port: number): number | null {
  const compose = parse(readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8'), { merge: true }) as {
    services: Record<string, { healthcheck: { test: string[] } }>;
  };
  const [kind, program, ...args] = compose.services[service]!.healthcheck.test;
  expect([kind, program]).toEqual(['CMD', 'node']);
  const script = args.map((text) => text.replaceAll('$$', '$').replaceAll('4321', String(port)));
  return spawnSync(process.execPath, script, { timeout: 10_000 }).status;
}

it('the health check of a CLI server in docker-compose.yml is passed by one with a token', async () => {
  const runtime = scope.own(await startRuntime({ token: 'a-token' }));
  expect(healthcheck('cli-1', runtime.port)).toBe(0);
});

it('the health check of a CLI server fails where nothing listens', async () => {
  const [port] = await freePorts(1);
  expect(healthcheck('cli-1', port!)).toBe(1);
});

it('the health check of a CLI server fails where connections are accepted and nothing is answered', async () => {
  const runtime = scope.own(await startRuntime());
  runtime.sigstop();
  expect(healthcheck('cli-1', runtime.port)).toBe(1);
});
