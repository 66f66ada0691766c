/** Many more live sessions than the servers have places for. */
import { expect, it } from 'vitest';
import { FakeSite } from '../support/fake-site.js';
import { scopeOfEachTest } from '../support/scope.js';

const SESSIONS = 5_000;
const CLIENTS = 50;
const PLACES = 50;

const scope = scopeOfEachTest();

it(`${SESSIONS} live sessions on two servers with ${PLACES} places each all get their turns`, async () => {
  const site = await FakeSite.start(scope, {
    servers: 2,
    server: { record: false },
    config: {
      routing: { policy: 'round_robin' },
      limits: { sessions_per_user: SESSIONS },
      sessions: { max_active_per_backend: PLACES },
    },
  });
  let most = 0;
  for (const fake of site.fakes) {
    fake.answer('session.metadata.activity', () => ({ result: { hasActiveWork: false, abortable: false } }));
    fake.answer('session.queue.pendingItems', () => ({ result: { items: [], steeringMessages: [] } }));
    fake.answer('session.schedule.list', () => ({ result: { entries: [] } }));
    fake.answer('sessions.readPersistedEvents', () => ({ result: { events: [] } }));
  }
  const watch = setInterval(() => {
    for (const fake of site.fakes) most = Math.max(most, fake.attachedSessions);
  }, 5);
  scope.after(() => clearInterval(watch));

  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => site.wire()));
  const prompt = JSON.stringify({ events: 1, bytes: 100 });
  await Promise.all(clients.map(async (client, c) => {
    for (let n = c; n < SESSIONS; n += CLIENTS) {
      await client.result('session.create', { sessionId: `s${n}` });
      await client.result('session.send', { sessionId: `s${n}`, prompt });
      await client.untilEvent(`s${n}`, 'session.idle');
    }
  }));
  expect((await site.status()).sessions).toMatchObject({ total: SESSIONS, attached: SESSIONS });
  // Long after, each of some is asked again: it has been asleep, and does not know it.
  await Promise.all(clients.map(async (client, c) => {
    for (let n = c; n < SESSIONS; n += CLIENTS * 10) {
      const idles = () => client.events(`s${n}`).filter(({ type }) => type === 'session.idle').length;
      await client.result('session.send', { sessionId: `s${n}`, prompt });
      await client.until(() => idles() === 2);
    }
  }));
  expect(most).toBeLessThanOrEqual(PLACES);
  expect(most).toBeGreaterThan(PLACES / 2);
}, 120_000);
