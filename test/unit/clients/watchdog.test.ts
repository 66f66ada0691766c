/** Turns in which nothing happens, on links that only remember. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { channels, type TurnStalled } from '../../../proxy/channels.js';
import type { Services } from '../../../proxy/clients/services.js';
import { Watchdog } from '../../../proxy/clients/watchdog.js';
import { refuse } from '../../../proxy/protocol/errors.js';
import type { Answer } from '../../../proxy/sessions/attachment.js';
import { Directory } from '../../../proxy/sessions/directory.js';
import { Journal } from '../../../proxy/sessions/journal.js';
import type { Session } from '../../../proxy/sessions/session.js';
import { attach, event, FakeClient, FakeLink, FakeRegistry, OK, request, settled, startTurn, typeOf } from '../sessions/cast.js';

const SILENT = refuse('SKYPORT_BACKEND_LOST');
const BUSY: Answer = { ok: true, result: { hasActiveWork: true } };
const RESTING: Answer = { ok: true, result: { hasActiveWork: false } };

let link: FakeLink;
let client: FakeClient;
let session: Session;
let services: Services;
let watchdog: Watchdog;
let steps: string[];
let ended: string[];
let left: string[];
let now = 0;

const onStep = ({ step }: TurnStalled): number => steps.push(step);

/** The janitor's ticks over that many seconds, with everything that they bring about. */
async function pass(seconds: number): Promise<void> {
  for (let n = 0; n < seconds * 2; n++) {
    watchdog.tick((now += 500));
    for (let m = 0; m < 4; m++) await settled();
  }
}

const told = (): string[] => client.texts.map(typeOf);

beforeEach(async () => {
  [now, steps, ended, left] = [0, [], [], []];
  link = new FakeLink();
  client = new FakeClient();
  const directory = new Directory(new FakeRegistry(), {
    turnStarted: () => undefined, turnEnded: (_session, outcome) => ended.push(outcome), changed: () => undefined, unloaded: () => undefined,
  }, () => undefined);
  session = await directory.register('s1', 'alice', 'b1', false);
  attach(session, link, client);
  services = {
    directory, moves: false, draining: false, storeAway: () => false,
    roster: { all: () => [] },
    pool: { serving: () => ({ leaveWith: (id: string, stale: boolean) => left.push(`${id} ${stale}`) }) },
  } as unknown as Services;
  watchdog = new Watchdog(services, () => 30_000);
  channels.turnStalled.subscribe(onStep);
  startTurn(session);
});

afterEach(() => channels.turnStalled.unsubscribe(onStep));

describe('a turn in which nothing happens', () => {
  it('is left alone until the time is over', async () => {
    await pass(30);
    expect(link.calls).toEqual([]);
  });

  it('is aborted once then, and is over when its server ends it', async () => {
    await pass(31);
    event(session.primary!, 'session.idle', { aborted: true });
    await pass(120);
    expect([link.methods, steps, ended]).toEqual([['session.abort'], ['abort'], ['aborted']]);
    expect(session.state).toBe('idle');
  });

  it('is not aborted while events come', async () => {
    for (let n = 0; n < 10; n++) {
      await pass(20);
      event(session.primary!, 'assistant.message_delta');
    }
    expect(link.calls).toEqual([]);
  });

  it.each(['permission.requested', 'external_tool.requested', 'elicitation.requested', 'mcp.oauth_required'])('is not aborted after %s', async (type) => {
    event(session.primary!, type, { requestId: 'r1' });
    await pass(600);
    expect(link.calls).toEqual([]);
  });

  it('is not aborted while a tool runs, and is when the model is silent afterwards', async () => {
    event(session.primary!, 'tool.execution_start', { toolCallId: 'c1' });
    await pass(600);
    expect(link.calls).toEqual([]);
    event(session.primary!, 'tool.execution_complete', { toolCallId: 'c1' });
    await pass(31);
    expect(link.methods).toEqual(['session.abort']);
  });

  it('is not aborted while a question waits for a client to come back', async () => {
    const attachment = session.primary!;
    attachment.vanished(Date.now(), 3_600_000, []);
    request(attachment, 7);
    await pass(600);
    expect(link.calls).toEqual([]);
  });

  it('is not aborted for time in which Skyport did not run', async () => {
    await pass(5);
    now += 3_600_000;
    await pass(20);
    expect(link.calls).toEqual([]);
  });

  it('is not aborted for time in which the store was away', async () => {
    services = Object.assign(services, { storeAway: () => true });
    await pass(600);
    expect(link.calls).toEqual([]);
  });

  it('is not aborted when another Skyport holds the session', async () => {
    session.foreign = true;
    await pass(600);
    expect(link.calls).toEqual([]);
  });

  it('has its end told by Skyport when the server has taken the abort and says that nothing runs', async () => {
    link.answers.push(OK, RESTING);
    await pass(42);
    expect([link.methods, steps]).toEqual([['session.abort', 'session.metadata.activity'], ['abort', 'end']]);
    expect(told()).toEqual(['session.idle']);
    expect(session.turn.open).toBe(false);
  });
});

describe('a turn that its server does not end, where sessions cannot move', () => {
  it('is given up: its client is told so once, and the next call loads the session again', async () => {
    link.answers.push(OK, BUSY);
    await pass(120);
    expect(steps).toEqual(['abort', 'give_up']);
    expect(link.methods).toEqual(['session.abort', 'session.metadata.activity', 'session.detach', 'sessions.readPersistedEvents']);
    expect(told()).toEqual(['session.error', 'session.idle']);
    expect(JSON.parse(client.texts[0]!)).toMatchObject({ params: { event: { data: { errorType: 'turn_stalled', errorCode: 'SKYPORT_TURN_STALLED' } } } });
    expect([ended, session.state, left]).toEqual([['error'], 'lost', []]);
  });

  it('is given up also when the server answers nothing at all, which is then known to have the session', async () => {
    link.answers.push(SILENT, SILENT);
    await pass(120);
    expect([steps, told(), session.state]).toEqual([['abort', 'give_up'], ['session.error', 'session.idle'], 'lost']);
    expect([left, session.abandoned]).toEqual([['s1 false'], true]);
  });

  it('hides from its client that the server has let go', async () => {
    link.holdsAnswers = true;
    await pass(42);
    event(session.primary!, 'session.shutdown');
    link.calls.at(-1)!.answer(OK);
    await pass(1);
    expect(client.events).toEqual([]);
  });

  it('hides that also after the end of the turn, live and from the history', async () => {
    session.journal = new Journal();
    link.holdsAnswers = true;
    await pass(42);
    event(session.primary!, 'session.idle', { aborted: true }, 'i1');
    event(session.primary!, 'session.shutdown', {}, 'x1');
    link.calls.at(-1)!.answer(OK);
    await pass(1);
    expect([client.events, session.hidden.has('x1')]).toEqual([['session.idle'], true]);
  });

  it('keeps calls waiting while the server is asked to let go', async () => {
    link.holdsAnswers = true;
    await pass(42);
    expect(session.dozing).toBeInstanceOf(Promise);
    for (const call of link.calls) call.answer(SILENT);
    await pass(1);
    expect(session.dozing).toBeUndefined();
  });

  it('is over without an error when it ends while the server is asked to let go', async () => {
    link.holdsAnswers = true;
    await pass(42);
    event(session.primary!, 'session.idle', { aborted: true });
    link.holdsAnswers = false;
    link.calls.at(-1)!.answer(OK);
    await pass(1);
    expect([told(), client.events, session.state]).toEqual([[], ['session.idle'], 'asleep']);
  });

  it('is left alone when a client aborts it meanwhile, until that has not helped either', async () => {
    link.answers.push(SILENT);
    await pass(32);
    session.stall!.abort();
    await pass(29);
    expect(steps).toEqual(['abort']);
    await pass(5);
    expect(steps).toEqual(['abort', 'abort']);
  });

  it('is forgotten when its session is deleted meanwhile', async () => {
    link.holdsAnswers = true;
    await pass(31);
    await services.directory.remove(session);
    await pass(60);
    expect(steps).toEqual(['abort']);
  });
});

describe('a turn that its server does not end, where sessions may move', () => {
  beforeEach(() => {
    services = Object.assign(services, { moves: true, recovery: {} });
    session.journal = new Journal();
    link.answers.push(OK, BUSY);
  });

  /** Has turns taken up, or not, as soon as they have lost their server. */
  function recovers(ok: boolean): void {
    session.interrupted = () => {
      session.recovering = Promise.resolve(ok).then((result) => {
        session.recovering = undefined;
        session.turn.end(result ? 'aborted' : 'backend_lost');
        return result;
      });
      return true;
    };
  }

  it('is taken off the server, to be ended by another one', async () => {
    recovers(true);
    await pass(120);
    expect([steps, told(), ended]).toEqual([['abort', 'move'], ['session.error'], ['aborted']]);
  });

  it('is to be ended by whoever takes it up, not completed', async () => {
    let aborting: boolean | undefined;
    session.interrupted = () => {
      aborting = session.journal!.aborting;
      return false;
    };
    await pass(120);
    expect(aborting).toBe(true);
  });

  it('is given up when nobody can take it up', async () => {
    recovers(false);
    await pass(120);
    expect([steps, ended]).toEqual([['abort', 'move', 'give_up'], ['backend_lost']]);
  });

  it('tells nothing of a failure while the message itself was not taken: it is sent to another server', async () => {
    session.turn.sent();
    recovers(true);
    await pass(120);
    expect(told()).toEqual([]);
  });

  it('leaves alone a session that has lost its server meanwhile: its turn is being taken up', async () => {
    await pass(31);
    session.recovering = new Promise(() => undefined);
    await pass(600);
    expect(steps).toEqual(['abort']);
  });
});
