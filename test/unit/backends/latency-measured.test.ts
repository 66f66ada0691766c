/** That a backend's latency is fed by its probes and by clients' creates. */
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../../support/scope.js';
import { Front } from '../clients/front.js';
import { until } from '../wire/sockets.js';
import { serve, SETTINGS } from './service.js';

const scope = scopeOfEachTest();

describe('the latency of a backend', () => {
  it('is measured by its probes, and begins anew with another process', async () => {
    const { backend, fake } = await serve(scope, { health: { ...SETTINGS.health, interval: 5 } });
    const pingMs = (): number | undefined => backend.latency.pingMs(performance.now());
    await until(() => {
      backend.tick(performance.now());
      return pingMs() !== undefined;
    });
    expect(pingMs()).toBeGreaterThanOrEqual(0);
    backend.setAddress({ host: '127.0.0.1', port: fake.port, token: 'another' }, 'started');
    expect(pingMs()).toBeUndefined();
  });

  it('is measured by creates of new sessions, and not by what is loaded again', async () => {
    const front = await Front.open(scope);
    const { latency } = front.services.pool.get('b1')!;
    const client = await front.client();
    for (let n = 0; n < 4; n++) await client.result('session.create', { sessionId: `s${n}` });
    for (let n = 0; n < 4; n++) await client.result('session.resume', { sessionId: `s${n}` });
    expect(latency.createMs(performance.now())).toBeUndefined();
    await client.result('session.create', { sessionId: 's4' });
    expect(latency.createMs(performance.now())).toBeGreaterThanOrEqual(0);
  });
});
