import { describe, expect, it } from 'vitest';
import { Allowances } from '../../../proxy/clients/allowances.js';
import { UNLIMITED } from '../../../proxy/sessions/turn-limits.js';

const roles = (...names: string[]): ReadonlySet<string> => new Set(names);

describe('the limits of a caller', () => {
  it('are none where the configuration has none', () => {
    expect(new Allowances({ turns: {}, roles: {} }).turns(roles('user'))).toBe(UNLIMITED);
    expect(new Allowances({ turns: { queued: 5, wait: 10 } }).turns(roles('user'))).toBe(UNLIMITED);
  });

  it('are those of all users, where his role says nothing', () => {
    const allowances = new Allowances({ turns: { active: 2, queued: 5 }, roles: { guest: { turns: { active: 1 } } } });
    expect(allowances.turns(roles('user'))).toEqual({ ...UNLIMITED, active: 2, queued: 5 });
  });

  it('are those of his role, key by key', () => {
    const allowances = new Allowances({ turns: { active: 2, per_minute: 60, wait: 1_000 }, roles: { guest: { turns: { active: 1, queued: 3 } } } });
    expect(allowances.turns(roles('user', 'guest'))).toEqual({ ...UNLIMITED, active: 1, perMinute: 60, queued: 3, wait: 1_000 });
  });

  it('are the most generous of his roles', () => {
    const allowances = new Allowances({
      turns: { active: 100 },
      roles: {
        guest: { sessions: 5, turns: { active: 1, per_minute: 10 }, all: { active: 3, sessions: 9 } },
        customer: { sessions: 50, turns: { active: 4 }, all: { active: 30, per_minute: 7 } },
      },
    });
    expect(allowances.turns(roles('guest', 'customer'))).toEqual({
      ...UNLIMITED, active: 4, perMinute: 10, allActive: { role: 'customer', limit: 30 }, allPerMinute: { role: 'customer', limit: 7 },
    });
    expect(allowances.sessions(roles('guest', 'customer'))).toBe(50);
    expect(allowances.allSessions(roles('guest', 'customer'))).toEqual({ role: 'guest', limit: 9 });
  });

  it('of sessions are left to sessions_per_user where his role says nothing', () => {
    expect(new Allowances({ roles: { guest: { sessions: 5 } } }).sessions(roles('user'))).toBeUndefined();
  });
});
