/** The metrics of `limits.turns` and `limits.roles`. */
import { channels, type Channel, type Subscriber } from '../channels.js';
import type { MetricBook } from './metric-book.js';

/** Seconds. */
const WAIT_BUCKETS = [0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600];
const LIMITS = ['active', 'per_minute', 'role_active', 'role_per_minute'];

/** @param on subscribes for as long as the metrics are there */
export function turnLimitMetrics(book: MetricBook, on: <T extends object>(channel: Channel<T>, subscriber: Subscriber<T>) => void): void {
  const waiting = book.gauge('skyport_turns_waiting', 'Messages that wait for a limit of turns.');
  const waits = book.histogram('skyport_turn_wait_seconds', 'How long messages that did not go on at once waited for a limit of turns, however that ended.', WAIT_BUCKETS);
  const refused = book.counter('skyport_turns_refused_total', 'Messages refused for a limit of turns: `active` and `per_minute` of the user, `role_active` and `role_per_minute` of all users with his role; and why they do not wait (any longer): `full` too many do, `waited` too long, `stopping` Skyport shuts down.', ['limit', 'reason']);
  for (const limit of LIMITS) {
    for (const reason of ['full', 'waited', 'stopping']) refused.inc({ limit, reason }, 0);
  }
  waiting.set(0);
  on(channels.turnWaiting, () => waiting.inc());
  on(channels.turnWaited, ({ durationMs }) => {
    waiting.dec();
    waits.observe(durationMs / 1000);
  });
  on(channels.turnRefused, ({ limit, reason }) => refused.inc({ limit, reason }));
}
