/** The lines above the tables of `skyport top`. */
import { notReadyReasons, warningsOf, type BackendSnapshot } from '../../observe/snapshot.js';
import { bytesText, countText, printable, span } from '../table.js';
import { percent } from './columns.js';
import type { Meaning } from './paint.js';
import type { Sample } from './rates.js';

export interface SummaryLine {
  text: string;
  meaning?: Meaning;
}

/** Warnings that are shown at once. */
const WARNINGS = 3;
const BETWEEN = '   ';

/** @param now milliseconds since the epoch */
export function summary({ snapshot, rates }: Sample, now: number): SummaryLine[] {
  const { clients, sessions, backends, userTotals, line, others = [], store, process: own } = snapshot;
  const reasons = notReadyReasons(snapshot);
  const loaded = backends.filter(({ predecessor }) => !predecessor).reduce((sum, { sessionsAttached }) => sum + sessionsAttached, 0);
  const waiting = line?.waiting ?? 0;
  const lines: SummaryLine[] = [
    { text: `Skyport ${snapshot.version}, up ${span(now - snapshot.startedAt)}, ${reasons.length === 0 ? 'ready' : `not ready: ${reasons[0]}`}`, meaning: reasons.length === 0 ? 'strong' : 'bad' },
    {
      text: [
        `clients ${countText(clients.connected)}, ${countText(clients.authenticated)} logged in`,
        `sessions ${countText(sessions.total)}, ${countText(sessions.attached)} live, ${countText(loaded)} loaded`,
        `turns ${countText(sessions.turnsOpen)} open, ${countText(userTotals?.turnsQueued ?? 0)} queued, ${rate(rates.turns)}`,
      ].join(BETWEEN),
    },
    {
      text: [
        `servers ${serverCounts(backends)}${waiting === 0 ? '' : `; ${countText(waiting)} wait for one`}`,
        `events ${rate(rates.events)}`,
        `bytes ${bytesRate(rates.bytesIn)} in, ${bytesRate(rates.bytesOut)} out`,
      ].join(BETWEEN),
    },
    {
      text: [
        `Skyport itself: cpu ${percent(rates.cpu) ?? '-'}, memory ${own === undefined ? '-' : bytesText(own.rss)}`,
        `store ${store?.up === false ? 'away' : 'up'}`,
        ...(others.length === 0 ? [] : [`other Skyports ${others.filter(({ state }) => state === 'up').length} of ${others.length} up`]),
        `users ${countText(userTotals?.users ?? 0)}, ${countText(userTotals?.active ?? 0)} active`,
      ].join(BETWEEN),
    },
  ];
  const warnings = warningsOf(snapshot);
  for (const warning of warnings.slice(0, WARNINGS)) lines.push({ text: `! ${warning}`, meaning: 'bad' });
  if (warnings.length > WARNINGS) lines.push({ text: `! and ${warnings.length - WARNINGS} more: skyport status`, meaning: 'bad' });
  return lines.map(({ text, meaning }) => ({ text: printable(text), meaning }));
}

function serverCounts(backends: readonly BackendSnapshot[]): string {
  const counts = new Map<string, number>();
  for (const backend of backends) {
    const what = classOf(backend);
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const texts = ['up', 'spare', 'draining', 'starting', 'down'].flatMap((what) => (counts.has(what) ? [`${countText(counts.get(what)!)} ${what}`] : []));
  return texts.length === 0 ? 'none' : texts.join(', ');
}

function classOf({ state, draining, tenancy }: BackendSnapshot): string {
  if (draining) return 'draining';
  if (state === 'up') return tenancy === 'spare' ? 'spare' : 'up';
  return state === 'starting' || state === 'ready' ? 'starting' : 'down';
}

function rate(perSecond: number | undefined): string {
  if (perSecond === undefined) return '-/s';
  return `${perSecond < 9.95 ? perSecond.toFixed(1) : countText(perSecond)}/s`;
}

function bytesRate(perSecond: number | undefined): string {
  return perSecond === undefined ? '-/s' : `${bytesText(Math.round(perSecond))}/s`;
}
