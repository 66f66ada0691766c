/**
 * The story, scene by scene. Each scene does something through the real SDK and checks that what it
 * tells is what happened; a new one is a function and a line in `SCENES`.
 */
import { table, type Column } from '../cli/table.js';
import type { BackendSnapshot } from '../observe/snapshot.js';
import { refusalOf, User, within, type Conversation, type Refused } from './cast.js';
import type { ModelRequest, StandInModel } from './model.js';
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
const SESSIONS = 4;
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
  const kitchen = await bob.converse();
  talks.set('garden', garden).set('city', city).set('parser', parser).set('kitchen', kitchen);
  await garden.say('Remember: the roses are by the wall.');
  await city.say('Remember: the museum is closed on Mondays.');
  await parser.say('Remember: the grammar has nine rules.');
  await kitchen.say('Remember: the soup needs more salt.');
  const answer = await garden.say('What do you remember?');
  tell.check(answer.includes('the roses are by the wall') && !answer.includes('museum'), 'alice\'s conversation has its history, and only its own', answer);
  const history = model.asked('What do you remember?').at(-1)?.messages;
  tell.check(history === 3, `the model got ${history} messages of history with alice's second prompt`);
  const homes = await Promise.all([garden, city, parser, kitchen].map(({ id }) => stage.homeOf(id)));
  tell.check(
    new Set(homes).size === SERVERS && homes[0] === homes[3],
    `alice's sessions are on ${homes[0]} and ${homes[2]}, bob's on ${homes[1]} and ${homes[3]}: one connection, many servers`, homes,
  );
}

async function ownership({ tell, talks, users }: Play): Promise<void> {
  const [alice, bob] = users as [User, User];
  const [garden, city, parser, kitchen] = [talks.get('garden')!, talks.get('city')!, talks.get('parser')!, talks.get('kitchen')!];
  const [hers, his] = [await alice.sessionIds(), await bob.sessionIds()];
  tell.check(same(hers, [garden.id, parser.id]), 'alice\'s listSessions() has her two sessions, of two servers, in one list', hers);
  tell.check(same(his, [city.id, kitchen.id]), 'bob\'s has his two', his);
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

const ROSES = 'Tell me about roses.';
const LAST_WORDS = 'and it ends well.';

async function kill({ stage, model, tell, talks, users }: Play): Promise<void> {
  const [garden, city] = [talks.get('garden')!, talks.get('city')!];
  const home = await stage.homeOf(garden.id);
  const { pid } = await stage.backend(home);
  model.hold();
  const [hers, his] = [await garden.begin(ROSES), await city.begin('Tell me about museums.')];
  await Promise.all([hers.underWay(), his.underWay()]);
  tell.say(`alice and bob are both in the middle of an answer; bob's other session, on ${home} too, is idle`);
  tell.alarm(`kill -9 ${pid}: ${home}, the server of alice's turn, is gone`);
  const killedAt = performance.now();
  process.kill(pid!, 'SIGKILL');

  await stage.until('the model is asked again', () => Promise.resolve(model.asked(ROSES).length > 1));
  const after = Math.round(performance.now() - killedAt);
  const now = await stage.homeOf(garden.id);
  tell.check(now !== home, `${after} ms later ${now} has alice's session, and asks the model for the answer once more`, now);
  const [first, again] = model.asked(ROSES) as [ModelRequest, ModelRequest];
  recite(tell, 'alice', again);
  tell.check(
    JSON.stringify(again.said) === JSON.stringify(first.said) && again.messages === first.messages,
    `the same ${again.messages} messages as the first time: nothing is lost, and no prompt is there twice`, [first, again],
  );
  model.letGo();
  const whole = await hers.end();
  tell.speech('model', whole.text);
  tell.check(
    whole.error === undefined && whole.messages === 1 && whole.text.endsWith(LAST_WORDS),
    'alice\'s turn was completed, to the last word; her program saw no error', whole,
  );
  const other = await his.end();
  tell.check(other.error === undefined && other.text.endsWith(LAST_WORDS), 'bob\'s turn, on another server, did not notice', other);
  tell.check(model.asked(ROSES).length === 2, 'the model was asked once more, and not more often', model.asked(ROSES).length);
  for (const { client } of users) await within('an answer to a ping', client.ping());
  tell.check(stage.disconnects === 0, 'nobody was disconnected', stage.disconnects);
}

async function goOn({ model, tell, talks }: Play): Promise<void> {
  tell.say('the programs do nothing special: the same session objects, the next prompt');
  const garden = talks.get('garden')!;
  const more = 'What else do you remember?';
  const hers = await garden.say(more);
  tell.check(
    hers.includes('the roses are by the wall') && hers.includes('the tulips are in the shade'),
    'alice\'s conversation goes on where it was', hers,
  );
  const prompts = model.asked(more).at(-1)!;
  recite(tell, 'alice', prompts);
  tell.check(prompts.said.length === 5 && prompts.messages === 9, `the model got all ${prompts.messages} messages of it`, prompts);
  const kitchen = talks.get('kitchen')!;
  const begun = performance.now();
  const his = await kitchen.say('Do you remember?');
  const took = Math.round(performance.now() - begun);
  tell.check(his.includes('the soup needs more salt'), `bob's idle session was on the dead server, too; its next turn took ${took} ms`, his);
  recite(tell, 'bob', model.asked('Do you remember?').at(-1)!);
}

/** What the user has said, as the model got it. */
function recite(tell: Teller, user: string, { said }: ModelRequest): void {
  tell.say(`the prompts of ${user} that the model got:`);
  tell.quote(said.map((prompt, index) => `  ${index + 1}. ${prompt}`).join('\n'));
}

async function lookAround({ stage, tell }: Play): Promise<void> {
  const own = stage.keptByServers();
  tell.check(own.length === 0, 'nothing of a session is on the disk of any server', own);
  tell.check(stage.kept() === SESSIONS, `the histories of all ${SESSIONS} sessions are in Skyport's store`, stage.kept());
  await stage.until('all servers are up and every turn is over', async () => {
    const { backends, sessions } = await stage.status();
    return sessions.turnsOpen === 0 && backends.every(({ state, pid }) => state === 'up' && pid !== undefined);
  });
  const snapshot = await stage.status();
  tell.quote(table(COLUMNS, snapshot.backends));
  tell.say('(skyport status shows this and more of any running Skyport)');
  const restarts = snapshot.backends.reduce((sum, backend) => sum + (backend.restarts ?? 0), 0);
  tell.check(
    restarts === 1 && snapshot.sessions.total === SESSIONS,
    'three servers are up, one of them started anew; four sessions, none lost', { restarts, sessions: snapshot.sessions },
  );
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
  { title: 'Two users, four conversations', play: conversations },
  { title: 'What is alice\'s stays alice\'s', play: ownership },
  { title: 'A server dies in the middle of a turn', play: kill },
  { title: 'Everybody goes on', play: goOn },
  { title: 'Where everything is now', play: lookAround },
];

function same(found: readonly string[], wanted: readonly string[]): boolean {
  return JSON.stringify(found) === JSON.stringify([...wanted].sort());
}

/** A refusal without the id that it repeats. */
function wordsOf({ message, data }: Refused, id: string): string {
  return JSON.stringify([message.replaceAll(id, 'ID'), data]);
}
