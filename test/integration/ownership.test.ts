import { beforeAll, describe, expect, it } from 'vitest';
import { METHODS, type MethodSpec } from '../../proxy/protocol/catalogue.js';
import { refuseSession } from '../../proxy/protocol/errors.js';
import { scopeOfSuite } from '../support/scope.js';
import { turn, type CopilotClient, type CopilotSession } from '../support/sdk.js';
import { Site, spread } from '../support/site.js';
import type { WireClient, WireMessage } from '../support/wire-client.js';

const scope = scopeOfSuite();
let site: Site;
let alice: CopilotClient;
let sessions: CopilotSession[];
let bob: WireClient;
/** One session on each CLI server, so that bob's connection has a link to each. */
let bobs: string[];

beforeAll(async () => {
  site = await Site.start(scope, { servers: 3 });
  alice = site.client('alice');
  sessions = [];
  for (let n = 1; n <= 6; n++) sessions.push(await alice.createSession(site.session()));
  await Promise.all(sessions.map((session, n) => turn(session, `alice's secret ${n}`)));
  bob = await site.wire('bob');
  bobs = [];
  for (let n = 1; n <= 3; n++) bobs.push(await create(bob, `bobs-own-${n}`));
});

async function create(client: WireClient, sessionId: string): Promise<string> {
  await client.result('session.create', site.params({ sessionId }));
  return sessionId;
}

/** A turn by hand; what came before its end has arrived. */
async function talk(client: WireClient, sessionId: string, prompt: string): Promise<void> {
  const idles = () => client.events(sessionId).filter((event) => event.type === 'session.idle').length;
  const before = idles();
  await client.result('session.send', { sessionId, prompt });
  await client.until(() => idles() > before);
}

/** Every place where a method takes a session id, with that id there. */
function paramsNaming(spec: MethodSpec, id: string, own: string): object[] {
  const direct = spec.params.has('sessionId') ? [{ sessionId: id }] : [];
  return [...direct, ...spec.carriers.map(({ path }) => ({ ...(spec.params.has('sessionId') && { sessionId: own }), ...at(path, id) }))];
}

function at(path: string, id: string): object {
  const [, name = '', list, field] = /^(\w+)(\[\])?(?:\.(\w+))?$/.exec(path)!;
  const item = field === undefined ? id : { [field]: id };
  return { [name]: list === undefined ? item : [item] };
}

const answerOf = ({ result, error }: WireMessage) => (error === undefined ? { result } : { error });

const onSession = METHODS.filter((spec) => spec.route === 'session');
const fanouts = METHODS.filter((spec) => spec.route === 'fanout');

describe('six sessions under round_robin on three CLI servers', () => {
  it('are split evenly', async () => {
    const rows = (await site.sessions()).filter((row) => row.owner === 'alice');
    expect(spread(rows)).toEqual({ 'cli-1': 2, 'cli-2': 2, 'cli-3': 2 });
  });

  it('are listed to their owner, all of them', async () => {
    const listed = (await alice.listSessions()).map((one) => one.sessionId);
    expect(listed.sort()).toEqual(sessions.map((one) => one.sessionId).sort());
  });

  it('are not listed to anybody else', async () => {
    for (const id of bobs) await talk(bob, id, 'bob has something to list, too');
    const { sessions: listed } = await bob.result<{ sessions: { sessionId: string }[] }>('session.list');
    expect(listed.map((one) => one.sessionId).sort()).toEqual(bobs);
  });

  it('all go on talking', async () => {
    const said = await Promise.all(sessions.map((session) => turn(session, 'and on')));
    expect(said.map((one) => one.text)).toEqual(sessions.map(() => 'answer 2: and on'));
  });
});

describe("another user's call on a session", () => {
  /** What bob gets for every method of the catalogue that names a session, by method. */
  async function answersAbout(id: string, specs: readonly MethodSpec[]): Promise<Map<string, unknown[]>> {
    const prober = await site.wire('bob');
    const answers = new Map<string, unknown[]>();
    for (const spec of specs) {
      const calls = paramsNaming(spec, id, bobs[0]!).map((params) => prober.call(spec.name, params));
      answers.set(spec.name, (await Promise.all(calls)).map(answerOf));
    }
    await prober.stop();
    return answers;
  }

  const { code, message } = refuseSession('ID');
  const refused = (id: string) => ({
    error: { code, message: message.replace('ID', id), data: { name: 'SKYPORT_SESSION_NOT_OWNED', side: 'client', retryable: false } },
  });
  /** What a CLI server answers about a session that it does not know, where that is no error. */
  const quiet: Record<string, unknown> = { empty: {}, detached: { success: true }, destroyed: { success: false } };
  const expected = (spec: MethodSpec, id: string) => (spec.unknownSession === 'refuse' ? refused(id) : { result: quiet[spec.unknownSession] });

  it('is refused with one and the same error, whatever the method and the place of the id', async () => {
    const id = sessions[0]!.sessionId;
    const answers = await answersAbout(id, onSession);
    const wanted = new Map(onSession.map((spec) => [spec.name, paramsNaming(spec, id, '').map(() => expected(spec, id))]));
    expect(answers).toEqual(wanted);
    expect(answers.size).toBeGreaterThan(250);
  });

  it('is answered like a call on a session that does not exist', async () => {
    const others = onSession.filter((spec) => spec.life !== 'create');
    const about = async (id: string) => JSON.stringify([...await answersAbout(id, others)]).replaceAll(id, 'ID');
    expect(await about(sessions[1]!.sessionId)).toBe(await about('nobody-has-this-session'));
  });

  it('changes nothing: the owner goes on, alone', async () => {
    const session = sessions[0]!;
    expect((await turn(session, 'untouched?')).text).toMatch(/^answer \d+: untouched\?$/);
    const row = (await site.sessions()).find((one) => one.id === session.sessionId);
    expect(row).toMatchObject({ owner: 'alice', attachments: 1 });
  });

  it('leaves lists of ids without effect, and tells no more than of ids that nobody has', async () => {
    const asking = fanouts.filter((spec) => spec.carriers.length > 0);
    const about = async (id: string) => JSON.stringify([...await answersAbout(id, asking)]).replaceAll(id, 'ID');
    const answer = await about(sessions[2]!.sessionId);
    expect(answer).toBe(await about('11111111-2222-4333-8444-555555555555'));
    expect(asking.map((spec) => spec.name)).toContain('sessions.bulkDelete');
    expect((await turn(sessions[2]!, 'still there')).text).toMatch(/still there$/);
  });

  it('finds none of them by questions about all sessions', async () => {
    const prober = await site.wire('bob');
    const id = sessions[3]!.sessionId;
    const more: Record<string, object> = {
      'sessions.findByPrefix': { prefix: id.slice(0, 12) },
      'sessions.findByTaskId': { taskId: id },
      'sessions.getLastForContext': { context: { cwd: site.directory('alice') } },
      'sessions.listNonEmptySessionIds': { limit: 100 },
    };
    for (const spec of fanouts) if (spec.carriers.length === 0) await prober.call(spec.name, more[spec.name] ?? {});
    const told = prober.frames.join('\n');
    expect(sessions.filter((session) => told.includes(session.sessionId))).toEqual([]);
    expect(told).toContain(bobs[0]);
    await prober.stop();
  });
});

describe("another user's connection", () => {
  it('sees no frame that names a session while its owner creates, talks, forks and deletes', async () => {
    const live = await alice.createSession(site.session());
    await turn(live, 'a session that bob must not hear of');
    const { sessionId: fork } = await alice.rpc.sessions.fork({ sessionId: live.sessionId });
    await turn(await alice.resumeSession(fork, site.session()), 'nor of its fork');
    await live.rpc.name.set({ name: 'Secret plans' });
    await live.disconnect();
    await alice.deleteSession(live.sessionId);
    await alice.deleteSession(fork);
    // Bob's own news of all three servers come after whatever those had to say before.
    for (const id of bobs) await talk(bob, id, 'anything?');
    const ids = [...sessions.map((session) => session.sessionId), live.sessionId, fork];
    expect(bob.frames.filter((frame) => ids.some((id) => frame.includes(id)))).toEqual([]);
    expect(bob.notifications('session.lifecycle').length).toBeGreaterThan(0);
  });

  it("hears of the user's own sessions on another connection", async () => {
    const second = await site.wire('bob');
    const id = await create(second, 'bobs-second');
    await talk(second, id, 'hello');
    await bob.until((message) => message.method === 'session.lifecycle' && message.params?.sessionId === id);
    expect(bob.events(id)).toEqual([]);
  });
});

describe('a forked session', () => {
  it('is refused to another user from its first moment on', async () => {
    const { sessionId: fork } = await alice.rpc.sessions.fork({ sessionId: sessions[5]!.sessionId });
    const prober = await site.wire('bob');
    const answer = await prober.call('session.resume', site.params({ sessionId: fork }));
    expect(answer.error?.message).toBe(`Session not found for sessionId: ${fork}`);
    await alice.deleteSession(fork);
    await prober.stop();
  });
});
