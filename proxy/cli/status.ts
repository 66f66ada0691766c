/** `skyport status`: how the running Skyport and its backends are. */
import { adminCall } from '../admin/client.js';
import { SESSION_STATES, notReadyReasons, type BackendSnapshot, type OtherSnapshot, type Snapshot } from '../observe/snapshot.js';
import { adminSocket, type SocketOptions } from './config-file.js';
import { bytesText, printable, span, table, type Column } from './table.js';
import { EXIT, type Terminal } from './terminal.js';

export interface StatusOptions extends SocketOptions {
  json?: boolean;
}

export async function status(options: StatusOptions, terminal: Terminal): Promise<number> {
  const snapshot = await adminCall<Snapshot>(adminSocket(options, terminal), 'GET', 'status');
  if (options.json) terminal.out(JSON.stringify(snapshot, null, 2));
  else terminal.out(statusText(snapshot, terminal.now(), terminal.columns));
  return EXIT.ok;
}

/** @param now milliseconds since the epoch */
export function statusText(snapshot: Snapshot, now: number, width?: number): string {
  const { clients, sessions, bytes, backends } = snapshot;
  const reasons = notReadyReasons(snapshot);
  const states = SESSION_STATES
    .filter((state) => sessions.byState[state] > 0)
    .map((state) => `${sessions.byState[state]} ${state}`);
  const lines = [
    `Skyport ${snapshot.version}, up ${span(now - snapshot.startedAt)}, ${reasons.length === 0 ? 'ready' : `not ready: ${reasons[0]}`}`,
    `clients   ${clients.connected} connected, ${clients.authenticated} authenticated`,
    `sessions  ${sessions.total}${states.length === 0 ? '' : `: ${states.join(', ')}`}; ${sessions.attached} attached, ${sessions.turnsOpen} in a turn`,
    `traffic   clients ${bytesText(bytes.clientIn)} in, ${bytesText(bytes.clientOut)} out; backends ${bytesText(bytes.backendIn)} in, ${bytesText(bytes.backendOut)} out`,
  ];
  lines.push('', backends.length === 0 ? 'No backends.' : table(COLUMNS, backends, width));
  const errors = backends.filter(({ lastError, state }) => lastError !== undefined && state !== 'up');
  if (errors.length > 0) lines.push('', ...errors.map(({ name, lastError }) => `${name}: ${printable(lastError)}`));
  const { store, others = [] } = snapshot;
  if (store?.up === false) lines.push('', `store: ${printable(store.reason ?? 'not available')}`);
  if (others.length > 0) lines.push('', table(OTHERS, others, width));
  return lines.join('\n');
}

const COLUMNS: ReadonlyArray<Column<BackendSnapshot>> = [
  { head: 'BACKEND', value: (b) => b.name, shrinksTo: 12 },
  { head: 'KIND', value: (b) => (b.backup ? `${b.kind} backup` : b.kind) },
  { head: 'STATE', value: stateText },
  { head: 'VERSION', value: (b) => b.version, shrinksTo: 7 },
  { head: 'WEIGHT', value: (b) => b.weight, align: 'right' },
  { head: 'SESSIONS', value: (b) => b.sessionsBound, align: 'right' },
  { head: 'ATTACHED', value: (b) => b.sessionsAttached, align: 'right' },
  { head: 'TURNS', value: (b) => b.turnsOpen, align: 'right' },
  { head: 'WAITING', value: (b) => b.requestsWaiting, align: 'right' },
  { head: 'LINKS', value: (b) => `${b.links}/${b.linksMax}`, align: 'right' },
  { head: 'LATENCY', value: (b) => (b.latencyMs === undefined ? undefined : `${b.latencyMs.toFixed(1)}ms`), align: 'right' },
  { head: 'PID', value: (b) => b.pid, align: 'right' },
  { head: 'RESTARTS', value: (b) => b.restarts, align: 'right' },
];

const OTHERS: ReadonlyArray<Column<OtherSnapshot>> = [
  { head: 'OTHER SKYPORT', value: (one) => one.address },
  { head: 'STATE', value: (one) => one.state },
  { head: 'SESSIONS', value: (one) => one.sessions, align: 'right' },
  { head: 'INSTANCE', value: (one) => one.instance, shrinksTo: 8 },
];

function stateText({ state, draining, drained, restarting }: BackendSnapshot): string {
  if (restarting) return `${state}, restarting`;
  if (drained) return `${state}, drained`;
  return draining ? `${state}, draining` : state;
}
