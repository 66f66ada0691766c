/** Sessions that leave their backend, on links that only remember. */
import { SHARED, type Tenancy } from '../../../proxy/backends/tenancy.js';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../../../proxy/backends/backend.js';
import { Mover } from '../../../proxy/clients/moving.js';
import type { Services } from '../../../proxy/clients/services.js';
import { refuse } from '../../../proxy/protocol/errors.js';
import type { Answer } from '../../../proxy/sessions/attachment.js';
import { Directory } from '../../../proxy/sessions/directory.js';
import type { Session } from '../../../proxy/sessions/session.js';
import { attach, event, FakeClient, FakeLink, FakeRegistry, settled, startTurn } from '../sessions/cast.js';

const answer = (result: object): Answer => ({ ok: true, result });
const IDLE = [answer({ hasActiveWork: false }), answer({ items: [] }), answer({ entries: [] })];
const AT_WORK = [answer({ hasActiveWork: true }), answer({ items: [] }), answer({ entries: [] })];

interface Place {
  readonly name: string;
  draining: boolean;
  removed: boolean;
  readonly tenancy: Tenancy;
  restarting: boolean;
  readonly eligible: boolean;
  mayTake(): boolean;
  readonly up: boolean;
  readonly links: { has(link: unknown): boolean };
}

let link: FakeLink;
let links: Set<unknown>;
let b1: Place;
let b2: Place;
let services: Services;
let directory: Directory;
let mover: Mover;

function place(name: string, mine: Set<unknown>): Place {
  return {
    name, tenancy: SHARED, draining: false, removed: false, restarting: false, up: true,
    get eligible() { return !this.draining && !this.removed && !this.restarting; },
    mayTake: () => true,
    links: { has: (one) => mine.has(one) },
  };
}

beforeEach(() => {
  link = new FakeLink();
  links = new Set([link]);
  [b1, b2] = [place('b1', links), place('b2', new Set())];
  directory = new Directory(new FakeRegistry(), {
    turnStarted: () => undefined, turnEnded: (session) => mover.turnEnded(session), changed: () => undefined, unloaded: () => undefined,
  }, () => undefined);
  const places = [b1, b2];
  const pool = {
    others: new Map(),
    all: () => places,
    get: (name: string) => places.find((one) => one.name === name),
    bound: (name: string) => places.find((one) => one.name === name),
    place: (_ask: object, except: ReadonlySet<string>) => places.find((one) => one.eligible && !except.has(one.name)) ?? refuse('SKYPORT_NO_BACKEND'),
  };
  services = { directory, pool, moves: true } as unknown as Services;
  mover = new Mover(services);
});

async function loaded(id = 's1'): Promise<Session> {
  const session = await directory.register(id, 'alice', 'b1', false);
  session.turns = 1;
  attach(session, link, new FakeClient(1));
  return session;
}

const backend = (one: Place): Backend => one as unknown as Backend;
const asleep = (session: Session): boolean => session.state === 'asleep';

describe('a backend that is to be empty', () => {
  it.each(['draining', 'removed', 'restarting'] as const)('has its idle sessions put to sleep: %s', async (why) => {
    const session = await loaded();
    b1[why] = true;
    link.answers.push(...IDLE);
    mover.sweep(0);
    await vi.waitFor(() => expect(asleep(session)).toBe(true));
    expect([session.backend, session.epoch]).toEqual(['b1', 1]);
  });

  it('is left alone where sessions cannot be loaded elsewhere', async () => {
    await loaded();
    b1.draining = true;
    Object.assign(services, { moves: false });
    mover.sweep(0);
    await settled();
    expect(link.calls).toEqual([]);
  });

  it('keeps its name\'s sessions that are loaded on its successor', async () => {
    await loaded();
    links.clear();
    b1.removed = true;
    mover.sweep(0);
    await settled();
    expect(link.calls).toEqual([]);
  });

  it('lets a turn end, and then puts the session to sleep before its client can write again', async () => {
    const session = await loaded();
    b1.draining = true;
    startTurn(session);
    mover.sweep(0);
    await settled();
    expect(link.calls).toEqual([]);
    link.holdsAnswers = true;
    event(session.primary!, 'session.idle');
    let written = false;
    session.order.enter('write', () => (written = true));
    expect([link.methods[0], written, session.dozing !== undefined]).toEqual(['session.metadata.activity', false, true]);
    IDLE.forEach((each, at) => link.calls[at]!.answer(each));
    await settled();
    link.calls.at(-1)!.answer(answer({ success: true }));
    link.holdsAnswers = false;
    await settled();
    link.calls.at(-1)!.answer(answer({}));
    await vi.waitFor(() => expect([asleep(session), written, session.dozing]).toEqual([true, true, undefined]));
  });

  it('tries a session that its server will not let go again later, and counts it meanwhile', async () => {
    const session = await loaded();
    b1.draining = true;
    link.answers.push(...AT_WORK);
    mover.sweep(1_000);
    await vi.waitFor(() => expect(mover.staying(backend(b1))).toBe(1));
    mover.sweep(1_249);
    await settled();
    expect(link.calls).toHaveLength(3);
    link.answers.push(...IDLE);
    mover.sweep(1_250);
    await vi.waitFor(() => expect(asleep(session)).toBe(true));
    expect(mover.staying(backend(b1))).toBe(0);
  });

  it('forgets who would not go when it is taken back', async () => {
    await loaded();
    b1.draining = true;
    link.answers.push(...AT_WORK);
    mover.sweep(0);
    await vi.waitFor(() => expect(mover.staying(backend(b1))).toBe(1));
    b1.draining = false;
    mover.sweep(100);
    expect(mover.staying(backend(b1))).toBe(0);
  });

  it('is emptied twenty at a time', async () => {
    for (let n = 0; n < 30; n++) {
      links.add(link);
      await loaded(`s${n}`);
    }
    b1.draining = true;
    link.holdsAnswers = true;
    mover.sweep(0);
    mover.sweep(100);
    await settled();
    expect(link.methods.filter((method) => method === 'session.metadata.activity')).toHaveLength(20);
  });
});

describe('one session', () => {
  it('that is idle is put to sleep and bound to the other backend, before a call that waits goes on', async () => {
    const session = await loaded();
    link.answers.push(...IDLE);
    const moved = mover.move(session, backend(b2), 0);
    let boundTo: string | undefined;
    session.order.enter('write', () => (boundTo = session.backend));
    expect(await moved).toEqual({ from: 'b1', to: 'b2' });
    expect([asleep(session), session.backend, session.epoch, boundTo]).toEqual([true, 'b2', 2, 'b2']);
  });

  it('that nobody has loaded is bound to another one', async () => {
    const session = await directory.register('s1', 'alice', 'b1', false);
    expect(await mover.move(session, undefined, 0)).toEqual({ from: 'b1', to: 'b2' });
    expect([session.backend, session.epoch]).toEqual(['b2', 2]);
  });

  it('is moved in the moment in which its turn is over', async () => {
    const session = await loaded();
    startTurn(session);
    const moved = mover.move(session, undefined, 60_000);
    await settled();
    link.answers.push(...IDLE);
    event(session.primary!, 'session.idle');
    expect(session.dozing).toBeDefined();
    expect(await moved).toEqual({ from: 'b1', to: 'b2' });
  });

  it.each([
    ['a turn runs', (session: Session) => startTurn(session)],
    ['a prompt waits for its answer', (session: Session) => event(session.primary!, 'permission.requested', { requestId: 'r1' })],
    ['a call is not answered yet', (session: Session) => void (session.calls = 1)],
    ['its server says that it is at work in the background, or that something is queued or scheduled', () => void link.answers.push(...AT_WORK)],
  ])('is not moved, with the reason: %s', async (reason, make) => {
    const session = await loaded();
    make(session);
    expect(await mover.move(session, undefined, 0)).toEqual({ reason, final: false });
    expect([session.backend, session.primary?.state]).toEqual(['b1', 'attached']);
  });

  it('stays where no other backend can take it', async () => {
    b2.draining = true;
    expect(await mover.move(await loaded(), undefined, 0)).toEqual({ reason: 'no other backend takes sessions now', final: true });
  });

  it('that is there already is not touched', async () => {
    expect(await mover.move(await loaded(), backend(b1), 0)).toEqual({ from: 'b1', to: 'b1' });
    expect(link.calls).toEqual([]);
  });

  it('stays bound as it was when its target has gone meanwhile', async () => {
    const session = await loaded();
    link.answers.push(...IDLE);
    const moved = mover.move(session, backend(b2), 60_000);
    b2.draining = true;
    expect(await moved).toEqual({ reason: 'b2 takes no sessions any more', final: true });
    expect([session.backend, asleep(session)]).toEqual(['b1', true]);
  });
});
