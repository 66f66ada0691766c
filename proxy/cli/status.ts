/** `skyport status`: how the running Skyport and its backends are. */
import { adminCall } from '../admin/client.js';
import { SESSION_STATES, fleetWarnings, notReadyReasons, type BackendSnapshot, type OtherSnapshot, type Snapshot, type UserSnapshot } from '../observe/snapshot.js';
import { adminSocket, type SocketOptions } from './config-file.js';
import { noteOf, stateText } from './server-text.js';
import { bytesText, countText, millisText, printable, shortBytes, span, table, type Column } from './table.js';
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
  const { users, userTotals, process: own } = snapshot;
  if (userTotals && userTotals.users > 0) lines.push(`users     ${countText(userTotals.users)}, ${countText(userTotals.active)} active, ${countText(userTotals.turnsQueued)} turns queued`);
  if (own) lines.push(`process   ${own.pid}, ${bytesText(own.rss)} in memory`);
  lines.push('', backends.length === 0 ? 'No backends.' : table(filled(serverColumns(now), backends), backends, width));
  const errors = backends.filter(({ lastError, state }) => lastError !== undefined && state !== 'up');
  if (errors.length > 0) lines.push('', ...errors.map(({ name, lastError }) => `${name}: ${printable(lastError)}`));
  const { store, others = [] } = snapshot;
  const busy = busiest(users ?? []);
  if (busy.length > 0) lines.push('', table(filled(USERS, busy), busy, width));
  if (busy.length < (userTotals?.active ?? 0)) lines.push(`and ${countText(userTotals!.active - busy.length)} more: skyport top --users`);
  const warnings = fleetWarnings(snapshot);
  if (warnings.length > 0) lines.push('', ...warnings.map(printable));
  if (store?.up === false) lines.push('', `store: ${printable(store.reason ?? 'not available')}`);
  if (others.length > 0) lines.push('', table(OTHERS, others, width));
  return lines.join('\n');
}

/** Not every site has all of them: a column that says nothing about any backend is left out, if it may be. */
interface StatusColumn<R> extends Column<R> {
  optional?: boolean;
}

function serverColumns(now: number): ReadonlyArray<StatusColumn<BackendSnapshot>> {
  return [
    { head: 'BACKEND', value: (b) => b.name, shrinksTo: 12 },
    { head: 'KIND', value: (b) => (b.backup ? `${b.kind} backup` : b.kind), drops: 10 },
    { head: 'USER', value: (b) => b.user ?? (b.tenancy === 'user' ? undefined : b.tenancy), shrinksTo: 6, drops: 1, optional: true },
    { head: 'STATE', value: stateText },
    { head: 'VERSION', value: (b) => b.version, shrinksTo: 7, drops: 8 },
    { head: 'PROTOCOL', value: (b) => b.protocolVersion, align: 'right', drops: 16, optional: true },
    { head: 'AGE', value: (b) => (b.startedAt === undefined ? undefined : span(now - b.startedAt)), align: 'right', drops: 4, optional: true },
    { head: 'RSS', value: (b) => (b.rss === undefined ? undefined : shortBytes(b.rss)), align: 'right', drops: 3, optional: true },
    { head: 'FILES', value: (b) => b.openFiles, align: 'right', drops: 15, optional: true },
    { head: 'CHILDREN', value: (b) => b.children, align: 'right', drops: 12, optional: true },
    { head: 'WEIGHT', value: (b) => b.weight, align: 'right', drops: 17 },
    { head: 'SESSIONS', value: (b) => b.sessionsBound, align: 'right' },
    { head: 'ATTACHED', value: (b) => b.sessionsAttached, align: 'right', drops: 6 },
    { head: 'TURNS', value: (b) => b.turnsOpen, align: 'right' },
    { head: 'WAITING', value: (b) => b.requestsWaiting, align: 'right', drops: 9 },
    { head: 'LINKS', value: (b) => `${b.links}/${b.linksMax}`, align: 'right', drops: 14 },
    { head: 'LATENCY', value: (b) => milliseconds(b.latencyMs), align: 'right', drops: 2 },
    { head: 'CREATE', value: (b) => milliseconds(b.createMs), align: 'right', drops: 13, optional: true },
    { head: 'DRIFT', value: (b) => (b.latencyFactor === undefined ? undefined : `${b.latencyFactor.toFixed(1)}x`), align: 'right', drops: 7, optional: true },
    { head: 'PID', value: (b) => b.pid, align: 'right', drops: 11 },
    { head: 'RESTARTS', value: (b) => b.restarts, align: 'right', drops: 5 },
    { head: 'NOTE', value: (b) => noteOf(b, now), shrinksTo: 8, drops: 0, optional: true },
  ];
}

const USERS: ReadonlyArray<StatusColumn<UserSnapshot>> = [
  { head: 'USER', value: (one) => one.user, shrinksTo: 8 },
  { head: 'SERVER', value: (one) => one.server, shrinksTo: 8, drops: 1, optional: true },
  { head: 'SESSIONS', value: (one) => one.sessions, align: 'right' },
  { head: 'LOADED', value: (one) => one.loaded, align: 'right', drops: 0 },
  { head: 'TURNS', value: (one) => one.turnsOpen, align: 'right' },
  { head: 'QUEUED', value: (one) => one.turnsQueued, align: 'right' },
  { head: 'TURNS/MIN', value: (one) => one.turnsLastMinute, align: 'right', drops: 2, optional: true },
];

/** Users that `status` names: the busiest ones. */
const USERS_SHOWN = 10;

function busiest(users: readonly UserSnapshot[]): UserSnapshot[] {
  const work = ({ turnsOpen, turnsQueued, loaded }: UserSnapshot): number => (turnsOpen + turnsQueued) * 1e6 + loaded;
  return users.filter((one) => work(one) > 0).sort((a, b) => work(b) - work(a) || a.user.localeCompare(b.user)).slice(0, USERS_SHOWN);
}

function filled<R>(columns: ReadonlyArray<StatusColumn<R>>, rows: readonly R[]): ReadonlyArray<Column<R>> {
  return columns.filter(({ optional, value }) => !optional || rows.some((row) => ![undefined, ''].includes(value(row) as string | undefined)));
}

function milliseconds(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : millisText(ms);
}

const OTHERS: ReadonlyArray<Column<OtherSnapshot>> = [
  { head: 'OTHER SKYPORT', value: (one) => one.address },
  { head: 'STATE', value: (one) => one.state },
  { head: 'SESSIONS', value: (one) => one.sessions, align: 'right' },
  { head: 'INSTANCE', value: (one) => one.instance, shrinksTo: 8 },
];
