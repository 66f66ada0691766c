import { afterEach, beforeEach, expect, test } from 'vitest';
import { channels, type Channel } from '../../../proxy/channels.js';
import { Log } from '../../../proxy/observe/log.js';

let written: string[];
let log: Log;

beforeEach(() => {
  written = [];
  log = new Log({ level: 'debug', stream: { write: (line) => { written.push(line); } } });
});

afterEach(() => log.close());

function only(): Record<string, unknown> {
  expect(written).toHaveLength(1);
  return JSON.parse(written[0]!) as Record<string, unknown>;
}

const session = { sessionId: 's1', owner: 'alice', backend: 'cli-1', epoch: 2 };

test('a listener says what it is and where it is bound', () => {
  channels.lifecycle.publish({ phase: 'listening', listener: 'tcp', address: '127.0.0.1:4321' });
  expect(only()).toEqual({ level: 'info', time: expect.any(String), event: 'listening', listener: 'tcp', address: '127.0.0.1:4321' });
});

test('readiness is one line', () => {
  channels.lifecycle.publish({ phase: 'ready' });
  expect(only()).toEqual({ level: 'info', time: expect.any(String), event: 'ready' });
});

test('a connection has one line at info, when it closes', () => {
  log.level = 'info';
  channels.clientOpened.publish({ clientId: 7, remote: '10.0.0.1:5', listener: 'tcp 127.0.0.1:1', transport: 'tcp' });
  channels.clientAuthenticated.publish({ clientId: 7, user: 'alice', roles: ['user'], source: 'token' });
  channels.clientClosed.publish({ clientId: 7, user: 'alice', reason: 'end', durationMs: 5, bytesIn: 1, bytesOut: 2, requests: 3, events: 4 });
  expect(only()).toMatchObject({ level: 'info', event: 'client_closed', clientId: 7, user: 'alice', reason: 'end', bytesOut: 2, events: 4 });
});

test('a turn has one line, when it ends', () => {
  channels.turnStarted.publish(session);
  channels.turnEnded.publish({ ...session, durationMs: 12, outcome: 'aborted' });
  expect(only()).toMatchObject({ level: 'info', event: 'turn_ended', sessionId: 's1', outcome: 'aborted', durationMs: 12 });
});

test('a request that is answered has no line', () => {
  channels.requestDone.publish({ method: 'session.send', outcome: 'ok', durationMs: 1 });
  expect(written).toEqual([]);
});

test('a refusal is a line at debug, and its method is cut', () => {
  channels.refusal.publish({ name: 'SKYPORT_METHOD_UNKNOWN', method: 'x'.repeat(5000), user: 'bob' });
  expect(only()).toMatchObject({ level: 'debug', event: 'refused', name: 'SKYPORT_METHOD_UNKNOWN', method: 'x'.repeat(128) });
});

test.each<[string, string, () => void]>([
  ['warn', 'login_failed', () => channels.loginFailed.publish({ clientId: 1, remote: 'r', reason: 'unknown token', delayMs: 1, cut: false })],
  ['info', 'session_created', () => channels.sessionCreated.publish(session)],
  ['info', 'session_resumed', () => channels.sessionResumed.publish(session)],
  ['debug', 'session_attached', () => channels.sessionAttached.publish(session)],
  ['debug', 'session_detached', () => channels.sessionDetached.publish(session)],
  ['info', 'session_deleted', () => channels.sessionDeleted.publish(session)],
  ['warn', 'turn_ended', () => channels.turnEnded.publish({ ...session, durationMs: 1, outcome: 'backend_lost' })],
  ['info', 'backend_state', () => channels.backendState.publish({ backend: 'b', from: 'starting', to: 'up', reason: 'r' })],
  ['warn', 'backend_state', () => channels.backendState.publish({ backend: 'b', from: 'up', to: 'down', reason: 'r' })],
  ['info', 'backend_recycle', () => channels.backendRecycle.publish({ backend: 'b', run: 1, reason: 'rss', step: 'done', detail: 'd', durationMs: 1 })],
  ['warn', 'backend_recycle', () => channels.backendRecycle.publish({ backend: 'b', run: 1, reason: 'memory', step: 'killed', detail: 'd' })],
  ['error', 'roll_over_stopped', () => channels.rollOver.publish({ stopped: true, backend: 'b', reason: 'exited with code 1' })],
  ['info', 'roll_over_resumed', () => channels.rollOver.publish({ stopped: false })],
  ['debug', 'backend_link_opened', () => channels.backendLink.publish({ backend: 'b', change: 'opened', reason: 'r', links: 1 })],
  ['debug', 'backend_line', () => channels.backendLine.publish({ backend: 'b', stream: 'stderr', line: 'hello' })],
  ['debug', 'backend_warm_up', () => channels.backendWarmUp.publish({ backend: 'b', step: 'begun' })],
  ['info', 'backend_warm_up', () => channels.backendWarmUp.publish({ backend: 'b', step: 'warm', durationMs: 300 })],
  ['warn', 'backend_warm_up', () => channels.backendWarmUp.publish({ backend: 'b', step: 'failed', durationMs: 300, reason: 'session.create: no' })],
  ['info', 'backend_version', () => channels.backendVersion.publish({ backend: 'b', version: '1', protocolVersion: 3, nudge: true })],
  ['info', 'config_reloaded', () => channels.configReloaded.publish({ file: 'f', reloaded: ['limits.clients'], needsRestart: [] })],
  ['warn', 'config_reloaded', () => channels.configReloaded.publish({ file: 'f', reloaded: [], needsRestart: ['listen'] })],
  ['error', 'config_rejected', () => channels.configRejected.publish({ file: 'f', problems: ['f:1:1: error: x'] })],
  ['error', 'registry_error', () => channels.registryError.publish({ operation: 'put', message: 'disk full' })],
  ['error', 'bug', () => channels.bug.publish({ where: 'w', error: new TypeError('x is undefined') })],
])('%s is the level of %s', (level, event, publish) => {
  publish();
  expect(only()).toMatchObject({ level, event });
});

test('every channel that has a line gives it an event', () => {
  for (const channel of Object.values(channels) as Array<Channel<object>>) {
    if (channel.active) channel.publish({ phase: 'ready', step: 'begun', change: 'opened', reason: '', detail: '', line: '', message: '', problems: [], reloaded: [], needsRestart: [] });
  }
  expect(written.length).toBeGreaterThan(15);
  for (const line of written) expect(JSON.parse(line)).toHaveProperty('event', expect.stringMatching(/^[a-z_]+$/));
});

test('a payload that carries more than it should puts none of it into the log', () => {
  const secret = { token: 'TOP', apiKey: 'TOP', prompt: 'TOP', authorization: 'TOP', sha256: 'TOP' };
  channels.sessionCreated.publish({ ...session, ...secret } as typeof session);
  channels.clientOpened.publish({ clientId: 1, remote: 'r', listener: 'l', transport: 'tcp', ...secret } as never);
  expect(written.join('')).not.toContain('TOP');
});

test('the level can be changed while it runs', () => {
  log.level = 'error';
  channels.sessionCreated.publish(session);
  expect(written).toEqual([]);
  log.level = 'info';
  channels.sessionCreated.publish(session);
  expect(written).toHaveLength(1);
  expect(log.level).toBe('info');
});

test('after close no line is written and nothing listens', () => {
  log.close();
  channels.lifecycle.publish({ phase: 'stopped' });
  expect(written).toEqual([]);
  expect(channels.lifecycle.active).toBe(false);
});

test('the error of a bug is logged with its frames and without the text that a parser quoted', () => {
  let error: unknown;
  try {
    JSON.parse('my secret prompt');
  } catch (caught) {
    error = caught;
  }
  channels.bug.publish({ where: 'wire', error });
  expect(written.join('')).not.toContain('secret');
  expect(only()).toMatchObject({ where: 'wire', error: { type: 'SyntaxError', frames: expect.arrayContaining([expect.stringMatching(/^at /)]) } });
});
