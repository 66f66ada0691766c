/**
 * The story, scene by scene. Each scene does something through the real SDK and checks that what it
 * tells is what happened; a new one is a function and a line in `SCENES`.
 */
import { table, type Column } from '../cli/table.js';
import type { BackendSnapshot } from '../observe/snapshot.js';
import { refusalOf, User, within, type Conversation, type Refused } from './cast.js';
import type { StandInModel } from './model.js';
import type { Stage } from './stage.js';
import type { Teller } from './teller.js';

/** What the scenes hand on to each other. */
export interface Play {
  readonly stage: Stage;
  readonly model: StandInModel;
  readonly tell: Teller;
  readonly users: User[];
  readonly talks: Map<string, Conversation>;
}

export interface Scene {
  readonly title: string;
  play(play: Play): Promise<void>;
}

const SERVERS = 3;
const NO_SUCH_SESSION = '00000000-0000-4000-8000-000000000000';

async function curtain({ stage, tell, model, users }: Play): Promise<void> {
  await stage.set(SERVERS, ['alice', 'bob']);
  for (const { name, pid, version, state } of await stage.backends()) {
    tell.say(`${name}  process ${pid}, Copilot runtime ${version}, ${state}`);
  }
  for (const name of ['alice', 'bob']) {
    const user = new User(name, stage.address, stage.token(name), model.url, tell);
    users.push(user);
    await user.client.start();
  }
  const { clients } = await stage.status();
  tell.check(clients.authenticated === 2, `alice and bob are connected to ${stage.address}, each with a token`, clients);
}

async function conversations(play: Play): Promise<void> {
  const { stage, model, tell, talks, users } = play;
  const [alice, bob] = users as [User, User];
  const garden = await alice.converse();
  const city = await bob.converse();
  const parser = await alice.converse();
  talks.set('garden', garden).set('city', city).set('parser', parser);
  await garden.say('Remember: the roses are by the wall.');
  await city.say('Remember: the museum is closed on Mondays.');
  await parser.say('Remember: the grammar has nine rules.');
  const answer = await garden.say('What do you remember?');
  tell.check(answer.includes('the roses are by the wall') && !answer.includes('museum'), 'alice\'s conversation has its history, and only its own', answer);
  const history = model.lastAsked('What do you remember?')?.messages;
  tell.check(history === 3, `the model got ${history} messages of history with alice's second prompt`);
  const homes = await Promise.all([garden, city, parser].map(({ id }) => stage.homeOf(id)));
  tell.check(new Set(homes).size === SERVERS, `alice's sessions are on ${homes[0]} and ${homes[2]}, bob's on ${homes[1]}: one connection, many servers`, homes);
}

async function ownership({ tell, talks, users }: Play): Promise<void> {
  const [alice, bob] = users as [User, User];
  const [garden, city, parser] = [talks.get('garden')!, talks.get('city')!, talks.get('parser')!];
  const [hers, his] = [await alice.sessionIds(), await bob.sessionIds()];
  tell.check(same(hers, [garden.id, parser.id]), 'alice\'s listSessions() has her two sessions, of two servers, in one list', hers);
  tell.check(same(his, [city.id]), 'bob\'s has his one', his);
  tell.say(`bob tries to resume alice's session ${garden.id}`);
  const resume = await refusalOf('bob\'s resume', bob.client.resumeSession(garden.id, bob.config));
  tell.speech('bob', `is told: ${resume.message}`);
  const unknown = await refusalOf('the resume of no session', bob.client.resumeSession(NO_SUCH_SESSION, bob.config));
  tell.check(
    wordsOf(resume, garden.id) === wordsOf(unknown, NO_SUCH_SESSION),
    'an id that does not exist gets the very same answer, so bob has learned nothing', [resume, unknown],
  );
  const deletion = await refusalOf('bob\'s delete', bob.client.deleteSession(garden.id));
  tell.check(deletion.message.includes('not found'), 'bob cannot delete it either', deletion);
  await garden.say('Remember: the tulips are in the shade.');
}

async function kill({ stage, model, tell, talks, users }: Play): Promise<void> {
  const [garden, city, parser] = [talks.get('garden')!, talks.get('city')!, talks.get('parser')!];
  const home = await stage.homeOf(garden.id);
  const { pid } = await stage.backend(home);
  model.hold();
  const [hers, his] = [await garden.begin('Tell me about roses.'), await city.begin('Tell me about museums.')];
  await Promise.all([hers.underWay(), his.underWay()]);
  tell.say('alice and bob are both in the middle of an answer');
  tell.alarm(`kill -9 ${pid}: ${home}, the server of alice's turn, is gone`);
  const killedAt = performance.now();
  process.kill(pid!, 'SIGKILL');

  const lost = await hers.end();
  const told = Math.round(performance.now() - killedAt);
  tell.speech('alice', `is told after ${told} ms: ${lost.error}`);
  tell.check(lost.error !== undefined, 'alice\'s turn ended with session.error and session.idle instead of silence', lost);
  const refused = await refusalOf('alice\'s next send', garden.session.send({ prompt: 'Are you there?' }));
  tell.check(
    refused.data?.retryable === true,
    `her next send there is answered at once with ${refused.data?.name}, retryable`, refused,
  );
  await parser.say('Remember: rule nine is recursive.');
  tell.check(true, 'her other session, on another server and over the same connection, goes on');
  model.letGo();
  const whole = await his.end();
  tell.speech('model', whole.text);
  tell.check(whole.error === undefined && whole.text.endsWith('and it ends well.'), 'bob\'s running turn was completed, to the last word', whole);
  for (const { client } of users) await within('an answer to a ping', client.ping());
  tell.check(stage.disconnects === 0, 'nobody was disconnected', stage.disconnects);
  await comeBack({ stage, tell, home, pid: pid! });
}

async function comeBack({ stage, tell, home, pid }: { stage: Stage; tell: Teller; home: string; pid: number }): Promise<void> {
  await stage.until(`${home} is up again`, async () => {
    const now = await stage.backend(home);
    return now.state === 'up' && now.pid !== pid;
  });
  const now = await stage.backend(home);
  tell.check(now.restarts === 1, `Skyport has started ${home} again, as process ${now.pid}`, now);
}

async function goOn({ stage, model, tell, talks }: Play): Promise<void> {
  const garden = talks.get('garden')!;
  tell.say('alice\'s program does nothing special: the same session object, the next prompt');
  const prompt = 'What else do you remember?';
  const answer = await garden.say(prompt);
  tell.check(
    answer.includes('the roses are by the wall') && answer.includes('the tulips are in the shade'),
    'the conversation goes on where it was', answer,
  );
  const history = model.lastAsked(prompt)?.messages ?? 0;
  tell.check(history >= 7, `the model got ${history} messages of history from the new process`, history);
  tell.say(`(her session is on ${await stage.homeOf(garden.id)}, on whose disk its history is)`);
}

async function lookAround({ stage, tell }: Play): Promise<void> {
  await stage.until('every turn is over', async () => (await stage.status()).sessions.turnsOpen === 0);
  const snapshot = await stage.status();
  tell.quote(table(COLUMNS, snapshot.backends));
  tell.say('(skyport status shows this and more of any running Skyport)');
  tell.check(snapshot.backends.every(({ state }) => state === 'up'), 'three servers are up', snapshot.backends.map(({ state }) => state));
  const restarts = snapshot.backends.reduce((sum, backend) => sum + (backend.restarts ?? 0), 0);
  tell.check(restarts === 1 && snapshot.sessions.total === 3, 'one restart, three sessions, none lost', { restarts, sessions: snapshot.sessions });
}

/** Narrow enough for every terminal. */
const COLUMNS: ReadonlyArray<Column<BackendSnapshot>> = [
  { head: 'BACKEND', value: (b) => b.name },
  { head: 'STATE', value: (b) => b.state },
  { head: 'PID', value: (b) => b.pid, align: 'right' },
  { head: 'RESTARTS', value: (b) => b.restarts, align: 'right' },
  { head: 'SESSIONS', value: (b) => b.sessionsBound, align: 'right' },
  { head: 'LINKS', value: (b) => `${b.links}/${b.linksMax}`, align: 'right' },
  { head: 'LATENCY', value: (b) => `${b.latencyMs?.toFixed(1)}ms`, align: 'right' },
];

export const SCENES: readonly Scene[] = [
  { title: 'One port in front of three CLI servers', play: curtain },
  { title: 'Two users, three conversations', play: conversations },
  { title: 'What is alice\'s stays alice\'s', play: ownership },
  { title: 'A server dies in the middle of a turn', play: kill },
  { title: 'Alice goes on', play: goOn },
  { title: 'Where everything is now', play: lookAround },
];

function same(found: readonly string[], wanted: readonly string[]): boolean {
  return JSON.stringify(found) === JSON.stringify([...wanted].sort());
}

/** A refusal without the id that it repeats. */
function wordsOf({ message, data }: Refused, id: string): string {
  return JSON.stringify([message.replaceAll(id, 'ID'), data]);
}
