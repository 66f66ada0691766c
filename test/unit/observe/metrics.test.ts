import { afterEach, beforeEach, expect, test } from 'vitest';
import { channels } from '../../../proxy/channels.js';
import { Metrics } from '../../../proxy/observe/metrics.js';
import type { Snapshot } from '../../../proxy/observe/snapshot.js';
import { sampleBackend, sampleSnapshot } from './sample-snapshot.js';

let snapshot: Snapshot;
let metrics: Metrics;

beforeEach(() => {
  snapshot = sampleSnapshot();
  metrics = new Metrics(() => snapshot);
});

afterEach(() => metrics.close());

async function lines(start: string): Promise<string[]> {
  return (await metrics.render()).split('\n').filter((line) => line.startsWith(start));
}

test('clients are told apart by whether their handshake is finished', async () => {
  expect(await lines('skyport_clients{')).toEqual([
    'skyport_clients{authenticated="true"} 8',
    'skyport_clients{authenticated="false"} 2',
  ]);
});

test('every session state has a series', async () => {
  expect(await lines('skyport_sessions{')).toEqual([
    'skyport_sessions{state="live"} 1', 'skyport_sessions{state="idle"} 2', 'skyport_sessions{state="busy"} 3',
    'skyport_sessions{state="lingering"} 4', 'skyport_sessions{state="stored"} 5', 'skyport_sessions{state="lost"} 6',
  ]);
});

test('bytes and frames are what the snapshot says at the scrape, by side and direction', async () => {
  await metrics.render();
  snapshot = sampleSnapshot({ bytes: { clientIn: 101, clientOut: 2001, backendIn: 30001, backendOut: 401 } });
  expect(await lines('skyport_bytes_total{')).toEqual([
    'skyport_bytes_total{side="client",direction="in"} 101',
    'skyport_bytes_total{side="client",direction="out"} 2001',
    'skyport_bytes_total{side="backend",direction="in"} 30001',
    'skyport_bytes_total{side="backend",direction="out"} 401',
  ]);
  expect(await lines('skyport_frames_total{side="client",direction="out"}')).toEqual([
    'skyport_frames_total{side="client",direction="out"} 20',
  ]);
});

test('a backend has one series per state, with 1 at the state it is in', async () => {
  snapshot = sampleSnapshot({ backends: [sampleBackend({ state: 'ejected' })] });
  expect(await lines('skyport_backend_state{')).toEqual([
    'skyport_backend_state{backend="cli-1",state="starting"} 0',
    'skyport_backend_state{backend="cli-1",state="up"} 0',
    'skyport_backend_state{backend="cli-1",state="down"} 0',
    'skyport_backend_state{backend="cli-1",state="ejected"} 1',
  ]);
});

test('replacements of servers are counted by reason and step', async () => {
  channels.backendRecycle.publish({ backend: 'b', run: 1, reason: 'rss', step: 'begun', detail: '' });
  channels.backendRecycle.publish({ backend: 'b', run: 1, reason: 'rss', step: 'done', detail: '' });
  expect(await lines('skyport_backend_recycles_total{reason="rss"')).toEqual([
    'skyport_backend_recycles_total{reason="rss",step="begun"} 1', 'skyport_backend_recycles_total{reason="rss",step="done"} 1',
  ]);
});

test('a roll-over that was stopped is seen until it goes on', async () => {
  channels.rollOver.publish({ stopped: true, backend: 'b', reason: 'r' });
  expect(await lines('skyport_roll_over_stopped ')).toEqual(['skyport_roll_over_stopped 1']);
  channels.rollOver.publish({ stopped: false });
  expect(await lines('skyport_roll_over_stopped ')).toEqual(['skyport_roll_over_stopped 0']);
});

test('a backend that left the config leaves no series', async () => {
  await metrics.render();
  snapshot = sampleSnapshot({ backends: [sampleBackend({ name: 'cli-2' })] });
  const text = await metrics.render();
  expect(text).not.toContain('backend="cli-1"');
  expect(text).toContain('skyport_backend_links{backend="cli-2"} 2');
});

test('a latency is in seconds, and a backend that never answered has none', async () => {
  snapshot = sampleSnapshot({ backends: [sampleBackend(), sampleBackend({ name: 'cli-2', latencyMs: undefined })] });
  expect(await lines('skyport_backend_latency_seconds{')).toEqual(['skyport_backend_latency_seconds{backend="cli-1"} 0.00025']);
});

test('only a managed server has restarts', async () => {
  snapshot = sampleSnapshot({ backends: [sampleBackend(), sampleBackend({ name: 'cli-2', kind: 'static', restarts: undefined })] });
  expect(await lines('skyport_backend_restarts_total{')).toEqual(['skyport_backend_restarts_total{backend="cli-1"} 1']);
});

test('a managed server tells what it uses, in base units, and one that is not measured has no series', async () => {
  const used = { rss: 2 ** 20, openFiles: 20, children: 3, latencyFactor: 1.5, pingMs: 2, createMs: 30, startedAt: 5_000, cpuMs: 1_500 };
  snapshot = sampleSnapshot({ backends: [sampleBackend(used), sampleBackend({ name: 'cli-2' })] });
  const text = (await metrics.render()).split('\n');
  for (const line of [
    'skyport_backend_resident_memory_bytes{backend="cli-1"} 1048576', 'skyport_backend_open_files{backend="cli-1"} 20',
    'skyport_backend_child_processes{backend="cli-1"} 3', 'skyport_backend_latency_factor{backend="cli-1"} 1.5',
    'skyport_backend_ping_seconds{backend="cli-1"} 0.002', 'skyport_backend_create_seconds{backend="cli-1"} 0.03',
    'skyport_backend_start_time_seconds{backend="cli-1"} 5', 'skyport_backend_cpu_seconds_total{backend="cli-1"} 1.5',
  ]) expect(text).toContain(line);
  expect(text.filter((line) => /memory_bytes|open_files|child_processes|factor|cpu_seconds/.test(line) && line.includes('cli-2'))).toEqual([]);
});

test('a server that is drained for its successor has no series of its own', async () => {
  snapshot = sampleSnapshot({ backends: [sampleBackend({ bytesIn: 5 }), sampleBackend({ bytesIn: 7_000, predecessor: true, draining: true })] });
  expect(await lines('skyport_backend_bytes_total{backend="cli-1",direction="in"}')).toEqual(['skyport_backend_bytes_total{backend="cli-1",direction="in"} 5']);
  expect(await lines('skyport_servers{tenancy="shared",state="draining"}')).toEqual(['skyport_servers{tenancy="shared",state="draining"} 1']);
});

test('managed servers are counted by whose they are and state', async () => {
  snapshot = sampleSnapshot({
    backends: [
      sampleBackend({ tenancy: 'user', user: 'alice', outdated: true }), sampleBackend({ name: 'b', tenancy: 'user', user: 'bob' }),
      sampleBackend({ name: 'c', tenancy: 'spare', state: 'starting', crashLoop: true }), sampleBackend({ name: 'd', kind: 'static' }),
    ],
  });
  const text = (await metrics.render()).split('\n');
  expect(text.filter((line) => /^skyport_servers(_|\{.* [1-9])/.test(line))).toEqual([
    'skyport_servers{tenancy="spare",state="starting"} 1', 'skyport_servers{tenancy="user",state="up"} 2', 'skyport_servers_outdated 1', 'skyport_servers_crashing 1',
  ]);
});

test('users are summed up, never named', async () => {
  snapshot = sampleSnapshot({
    users: [{ user: 'alice', sessions: 9, loaded: 1, turnsOpen: 1, turnsQueued: 4 }],
    userTotals: { users: 12, active: 2, turnsQueued: 4, most: { sessions: 9, loaded: 2, turnsOpen: 1, turnsQueued: 4 } }, line: { waiting: 3 },
  });
  expect(await lines('skyport_user')).toEqual([
    'skyport_users 12', 'skyport_users_active 2', 'skyport_users_waiting 3',
    'skyport_user_max{what="sessions"} 9', 'skyport_user_max{what="loaded"} 2', 'skyport_user_max{what="turns_open"} 1', 'skyport_user_max{what="turns_queued"} 4',
  ]);
  expect(await metrics.render()).not.toContain('alice');
});

test('a request counts by method and outcome, and its duration by kind', async () => {
  channels.requestDone.publish({ method: 'session.send', outcome: 'ok', durationMs: 20, backend: 'cli-1' });
  channels.requestDone.publish({ method: 'session.send', outcome: 'SKYPORT_SESSION_NOT_OWNED', durationMs: 0.2 });
  expect(await lines('skyport_requests_total{')).toEqual([
    'skyport_requests_total{method="session.send",outcome="ok"} 1',
    'skyport_requests_total{method="session.send",outcome="SKYPORT_SESSION_NOT_OWNED"} 1',
  ]);
  expect(await lines('skyport_request_duration_seconds_bucket{le="0.01",kind="send"}'))
    .toEqual(['skyport_request_duration_seconds_bucket{le="0.01",kind="send"} 1']);
  expect(await lines('skyport_request_duration_seconds_count{kind="send"}'))
    .toEqual(['skyport_request_duration_seconds_count{kind="send"} 2']);
});

test('any number of made-up methods is one series', async () => {
  for (let i = 0; i < 1000; i += 1) {
    channels.requestDone.publish({ method: `evil.${i}`, outcome: 'SKYPORT_METHOD_UNKNOWN', durationMs: 0 });
  }
  expect(await lines('skyport_requests_total{')).toEqual([
    'skyport_requests_total{method="unknown",outcome="SKYPORT_METHOD_UNKNOWN"} 1000',
  ]);
});

test('a turn counts by outcome, and its duration is in seconds', async () => {
  const turn = { sessionId: 's1', owner: 'alice', backend: 'cli-1' };
  channels.turnEnded.publish({ ...turn, durationMs: 1500, outcome: 'idle' });
  channels.turnEnded.publish({ ...turn, durationMs: 500, outcome: 'backend_lost' });
  expect(await lines('skyport_turns_total{')).toEqual([
    'skyport_turns_total{outcome="idle"} 1', 'skyport_turns_total{outcome="error"} 0',
    'skyport_turns_total{outcome="aborted"} 0', 'skyport_turns_total{outcome="backend_lost"} 1',
    'skyport_turns_total{outcome="client_gone"} 0',
  ]);
  expect(await lines('skyport_turn_duration_seconds_sum')).toEqual(['skyport_turn_duration_seconds_sum 2']);
});

test('a refusal counts by name and rule', async () => {
  channels.refusal.publish({ name: 'SKYPORT_METHOD_REFUSED', method: 'session.shell.exec', user: 'bob', rule: 'shell_exec' });
  channels.refusal.publish({ name: 'SKYPORT_SESSION_NOT_OWNED', user: 'bob' });
  expect(await lines('skyport_refusals_total{')).toEqual([
    'skyport_refusals_total{reason="SKYPORT_METHOD_REFUSED",rule="shell_exec"} 1',
    'skyport_refusals_total{reason="SKYPORT_SESSION_NOT_OWNED",rule=""} 1',
  ]);
});

test('failed logins, session changes, links, registry errors and bugs are counted', async () => {
  const change = { sessionId: 's1', owner: 'alice', backend: 'cli-1', epoch: 1 };
  channels.loginFailed.publish({ clientId: 1, remote: '10.0.0.1:5', reason: 'unknown token', delayMs: 100, cut: true });
  channels.sessionCreated.publish(change);
  channels.sessionDeleted.publish(change);
  channels.backendLink.publish({ backend: 'cli-1', change: 'opened', reason: 'needed', links: 1 });
  channels.backendState.publish({ backend: 'cli-1', from: 'up', to: 'down', reason: 'x' });
  channels.registryError.publish({ operation: 'put', message: 'disk full' });
  channels.bug.publish({ where: 'here', error: new Error('x') });
  const text = await metrics.render();
  for (const line of [
    'skyport_login_failures_total{cut="false"} 0', 'skyport_login_failures_total{cut="true"} 1',
    'skyport_session_changes_total{change="created"} 1', 'skyport_session_changes_total{change="resumed"} 0',
    'skyport_session_changes_total{change="deleted"} 1',
    'skyport_backend_link_changes_total{change="opened"} 1', 'skyport_backend_link_changes_total{change="closed"} 0',
    'skyport_backend_state_changes_total{to="down"} 1',
    'skyport_registry_errors_total{operation="put"} 1', 'skyport_bugs_total 1',
  ]) expect(text.split('\n')).toContain(line);
});

test('a rejected config shows until one is accepted', async () => {
  channels.configRejected.publish({ file: 'a.yaml', problems: ['a.yaml:1:1: error: x'] });
  expect(await lines('skyport_config_last_reload_successful ')).toEqual(['skyport_config_last_reload_successful 0']);
  channels.configReloaded.publish({ file: 'a.yaml', reloaded: [], needsRestart: [] });
  expect(await lines('skyport_config_last_reload_successful ')).toEqual(['skyport_config_last_reload_successful 1']);
  expect(await lines('skyport_config_reloads_total{')).toEqual([
    'skyport_config_reloads_total{result="success"} 1', 'skyport_config_reloads_total{result="failed"} 1',
  ]);
});

test('no label and no text shows a user or a session id', async () => {
  channels.clientOpened.publish({ clientId: 1, remote: '10.0.0.1:5', listener: 'tcp 127.0.0.1:1', transport: 'tcp' });
  channels.turnEnded.publish({ sessionId: 'secret-session', owner: 'alice', backend: 'cli-1', durationMs: 1, outcome: 'idle' });
  channels.refusal.publish({ name: 'SKYPORT_METHOD_REFUSED', method: 'evil', user: 'alice' });
  expect(await metrics.render()).not.toMatch(/alice|secret-session|evil|10\.0\.0\.1/);
});

test('the event-loop delay has its quantiles, the longest included', async () => {
  const delays = await lines('skyport_event_loop_delay_seconds{');
  expect(delays.map((line) => line.split(' ')[0])).toEqual([
    'skyport_event_loop_delay_seconds{quantile="0.5"}', 'skyport_event_loop_delay_seconds{quantile="0.9"}',
    'skyport_event_loop_delay_seconds{quantile="0.99"}', 'skyport_event_loop_delay_seconds{quantile="1"}',
  ]);
  expect(delays.every((line) => Number(line.split(' ')[1]) >= 0)).toBe(true);
});

test('a blocked event loop shows as the longest delay', async () => {
  // Two turns of the loop after its time is up: where this process was not let run, timers of ours may overtake the sampler's.
  const sampled = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 30));
    for (let turns = 0; turns < 2; turns++) await new Promise(setImmediate);
  };
  await sampled();
  const until = performance.now() + 200;
  while (performance.now() < until);
  await sampled();
  const [line] = await lines('skyport_event_loop_delay_seconds{quantile="1"}');
  expect(Number(line!.split(' ')[1])).toBeGreaterThan(0.1);
});

test('the process tells its CPU, memory and versions', async () => {
  const text = await metrics.render();
  expect(Number(/^process_cpu_seconds_total (.+)$/m.exec(text)![1])).toBeGreaterThan(0);
  expect(Number(/^process_resident_memory_bytes (.+)$/m.exec(text)![1])).toBeGreaterThan(1e6);
  expect(text).toContain(`skyport_build_info{version="9.8.7",node="${process.versions.node}"} 1`);
});

test('two Metrics in one process do not add up', async () => {
  const other = new Metrics(() => snapshot);
  channels.bug.publish({ where: 'here', error: new Error('x') });
  expect(await lines('skyport_bugs_total ')).toEqual(['skyport_bugs_total 1']);
  other.close();
});

test('after close nothing listens any more', () => {
  metrics.close();
  expect(channels.requestDone.active).toBe(false);
  expect(channels.bug.active).toBe(false);
});

test('every sample belongs to a metric with help and type', async () => {
  const text = await metrics.render();
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]));
  const helps = new Set([...text.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name));
  for (const [sample] of text.matchAll(/^[a-z_]+/gm)) {
    const family = types.has(sample) ? sample : sample.replace(/_(bucket|sum|count)$/, '');
    expect(types.has(family), sample).toBe(true);
    expect(helps.has(family), sample).toBe(true);
  }
});
