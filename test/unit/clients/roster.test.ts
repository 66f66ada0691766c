import { beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../proxy/backends/backend.js';
import type { Link } from '../../../proxy/backends/link.js';
import type { Client } from '../../../proxy/clients/client.js';
import { Roster } from '../../../proxy/clients/roster.js';
import type { Principal } from '../../../proxy/identity/principal.js';
import type { Session } from '../../../proxy/sessions/session.js';
import { frameOf } from '../../../proxy/wire/frame.js';
import { sessionOf } from '../sessions/cast.js';

/** Only who it is matters here. */
const [CONTROL, ONE, OTHER] = ['control', 'one', 'other'].map((name) => ({ name }) as unknown as Link);
const BACKEND = { isControl: (link: Link) => link === CONTROL } as unknown as Backend;
const NEWS = frameOf('{"jsonrpc":"2.0","method":"session.lifecycle","params":{}}');

let roster: Roster;

interface Known {
  readonly home?: Link;
  readonly telemetry?: boolean;
  readonly pattern?: RegExp;
}

/** A client that is logged in; `heard` counts what it was given. */
function known(user: string, { home, telemetry = false, pattern }: Known = {}): { client: Client; heard: () => number } {
  let heard = 0;
  const principal: Principal = { user, roles: new Set(['user']), source: 'token', key: user, sessionPattern: pattern };
  const client = {
    principal,
    profile: { telemetry },
    transport: { bytesIn: 1, bytesOut: 2, framesIn: 3, framesOut: 4 },
    home: () => home,
    concerns: (session: Session) => pattern?.test(session.id) ?? session.owner === user,
    deliver: () => heard++,
  } as unknown as Client;
  roster.add(client);
  roster.authenticated(client, principal);
  return { client, heard: () => heard };
}

beforeEach(() => {
  roster = new Roster();
});

describe('a session\'s lifecycle', () => {
  const { session } = sessionOf('user-alice-1');

  it('reaches the clients of its owner, and nobody else', () => {
    const [alice, again, bob] = [known('alice'), known('alice'), known('bob')];
    roster.lifecycle(session, BACKEND, CONTROL!, NEWS);
    expect([alice.heard(), again.heard(), bob.heard()]).toEqual([1, 1, 0]);
  });

  it('reaches each of them once, however many links bring it: by the home link, if there is one', () => {
    const [without, atOne, atOther] = [known('alice'), known('alice', { home: ONE }), known('alice', { home: OTHER })];
    const heard = (): number[] => [without.heard(), atOne.heard(), atOther.heard()];
    roster.lifecycle(session, BACKEND, ONE!, NEWS);
    expect(heard()).toEqual([0, 1, 0]);
    roster.lifecycle(session, BACKEND, CONTROL!, NEWS);
    expect(heard()).toEqual([1, 1, 0]);
    roster.lifecycle(session, BACKEND, OTHER!, NEWS);
    expect(heard()).toEqual([1, 1, 1]);
  });

  it('reaches a service that speaks for its owner', () => {
    const [service, stranger] = [known('app', { pattern: /^user-alice-/ }), known('other-app', { pattern: /^user-bob-/ })];
    roster.lifecycle(session, BACKEND, CONTROL!, NEWS);
    expect([service.heard(), stranger.heard()]).toEqual([1, 0]);
  });

  it('does not reach a service that has its owner\'s name only', () => {
    const service = known('alice', { pattern: /^user-bob-/ });
    roster.lifecycle(session, BACKEND, CONTROL!, NEWS);
    expect(service.heard()).toBe(0);
  });

  it('reaches nobody who has gone', () => {
    const alice = known('alice');
    roster.remove(alice.client);
    roster.lifecycle(session, BACKEND, CONTROL!, NEWS);
    expect(alice.heard()).toBe(0);
  });
});

describe('a session\'s telemetry', () => {
  const { session } = sessionOf('s1');

  it('reaches those of its owner\'s clients that asked for it, by their home link', () => {
    const wants = { home: ONE, telemetry: true };
    const [asked, silent, elsewhere, stranger] = [
      known('alice', wants), known('alice', { home: ONE }), known('alice', { ...wants, home: OTHER }), known('bob', wants),
    ];
    roster.telemetry(session, BACKEND, ONE!, NEWS);
    expect([asked, silent, elsewhere, stranger].map(({ heard }) => heard())).toEqual([1, 0, 0, 0]);
  });
});

describe('the roster', () => {
  it('counts who is connected and who is known', () => {
    roster.add({ transport: {} } as unknown as Client);
    const { client } = known('alice');
    expect([roster.size, roster.authenticatedCount]).toEqual([2, 1]);
    roster.remove(client);
    roster.remove(client);
    expect([roster.size, roster.authenticatedCount]).toEqual([1, 0]);
  });

  it('keeps the bytes of those who have gone in the totals', () => {
    const { client } = known('alice');
    known('bob');
    roster.remove(client);
    expect(roster.traffic()).toEqual({ bytesIn: 2, bytesOut: 4, framesIn: 6, framesOut: 8 });
  });
});
