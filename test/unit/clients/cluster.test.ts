import { describe, expect, it } from 'vitest';
import type { Backend } from '../../../proxy/backends/backend.js';
import { Cluster, RELEASE } from '../../../proxy/clients/cluster.js';
import type { Services } from '../../../proxy/clients/services.js';
import { refuse } from '../../../proxy/protocol/errors.js';
import { sessionOf } from '../sessions/cast.js';

interface Told {
  readonly released?: boolean;
  readonly held?: boolean;
}

/** A session of another Skyport that answers so, or not at all, or is not there. */
function foreign(told: Told | 'silent' | 'down', { gone = false, draining = false }: { gone?: boolean | Error; draining?: boolean } = {}) {
  const { session } = sessionOf('s1', { holder: 'other', epoch: 3 });
  const asked: object[] = [];
  const refreshed: string[] = [];
  const peer = {
    up: told !== 'down', draining,
    ask: async (method: string, params: object) => {
      asked.push({ method, ...params });
      return told === 'silent' ? refuse('SKYPORT_BACKEND_LOST') : { ok: true, result: told };
    },
  };
  const services = {
    pool: { peer: (instance: string) => (instance === session.holder ? (peer as unknown as Backend) : undefined) },
    directory: { refresh: async (id: string) => void refreshed.push(id) },
  } as unknown as Services;
  const cluster = new Cluster(services, {
    self: 'self',
    gone: async () => {
      if (gone instanceof Error) throw gone;
      return gone;
    },
  });
  return { cluster, session, asked, refreshed, peer };
}

describe('a session of another Skyport', () => {
  it('is had when that one lets go of it, which is asked with its epoch and for whom', async () => {
    const { cluster, session, asked } = foreign({ released: true });
    expect(await cluster.way(session)).toBe('ours');
    expect(asked).toEqual([{ method: RELEASE, sessionId: 's1', epoch: 3, instance: 'self' }]);
  });

  it('is used through that one when it is in use there', async () => {
    const { cluster, session, peer } = foreign({ released: false, held: true });
    expect(await cluster.way(session)).toBe(peer);
  });

  it('is waited for when it is in use at one that is about to stop', async () => {
    const { cluster, session } = foreign({ released: false, held: true }, { draining: true });
    expect(await cluster.way(session)).toBe('wait');
  });

  it('is looked up again when that one has not got it', async () => {
    const { cluster, session, refreshed } = foreign({ released: false, held: false });
    expect(await cluster.way(session)).toBe('wait');
    expect(refreshed).toEqual(['s1']);
  });

  it.each([['silent', true, 'ours'], ['silent', false, 'wait'], ['down', true, 'ours'], ['down', false, 'wait']] as const)(
    'of one that is %s, and gone: %s: %s', async (told, gone, way) => {
      const { cluster, session } = foreign(told, { gone });
      expect(await cluster.way(session)).toBe(way);
    },
  );

  it('is never taken while the store cannot say that its Skyport is gone', async () => {
    const { cluster, session } = foreign('silent', { gone: new Error('away') });
    expect(await cluster.way(session)).toBe('wait');
  });

  it('that has another holder by the time of the answer is asked for there', async () => {
    const { cluster, session, peer } = foreign({ released: true });
    const { ask } = peer;
    peer.ask = (method, params) => {
      session.holder = 'third';
      return ask(method, params);
    };
    expect(await cluster.way(session)).toBe('wait');
  });
});
