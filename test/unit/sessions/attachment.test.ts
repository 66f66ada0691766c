import { beforeEach, describe, expect, it } from 'vitest';
import { Attachment, clear, type Residue } from '../../../proxy/sessions/attachment.js';
import type { Session } from '../../../proxy/sessions/session.js';
import { attach, event, FakeClient, FakeLink, failure, recipeOf, request, sessionOf, settled, startTurn, typeOf } from './cast.js';

const LINGER = 30_000;
const TOOLS = { tools: [{ name: 'deploy' }] };

let session: Session;
let told: string[];
let link: FakeLink;
let other: FakeLink;
let client: FakeClient;

beforeEach(() => {
  ({ session, told } = sessionOf());
  link = new FakeLink();
  other = new FakeLink();
  client = new FakeClient();
});

describe('an attachment', () => {
  it('hears events from the moment it takes its place, also before the attach is answered', () => {
    const attachment = new Attachment(session, client);
    attachment.take(link);
    session.add(attachment);
    event(attachment, 'session.start');
    expect(attachment.state).toBe('attaching');
    expect(client.events).toEqual(['session.start']);
    expect(link.places.get('s1')).toBe(attachment);
  });

  it('is attached once the server has said so', () => {
    expect(attach(session, link, client).state).toBe('attached');
    expect(session.state).toBe('idle');
  });

  it('that the server never took leaves nothing behind', () => {
    const attachment = new Attachment(session, client);
    attachment.take(link);
    session.add(attachment);
    attachment.gone();
    expect([attachment.state, link.places.size, session.attachments.length]).toEqual(['gone', 0, 0]);
    expect(client.droppedSessions).toEqual(['s1']);
  });

  it('has its link watched while a turn is open, also one that began before it came', () => {
    startTurn(session);
    const attachment = attach(session, link, client);
    expect(link.watched).toEqual(new Set([session]));
    event(attachment, 'session.idle');
    expect(link.watched.size).toBe(0);
  });

  it('passes a request of the server to its client, with the server\'s id as it was', () => {
    const attachment = attach(session, link, client);
    request(attachment, 'text');
    expect(client.asked[0]).toMatchObject({ attachment, link, idToken: '"text"' });
  });

  it('copies the request, for the bytes it came in are used again', () => {
    const attachment = attach(session, link, client);
    request(attachment, 7);
    expect(JSON.parse(client.asked[0]!.body.toString())).toMatchObject({ id: 7, method: 'hooks.invoke' });
  });

  it('is told to its client once when it ends', () => {
    const attachment = attach(session, link, client);
    attachment.gone();
    attachment.gone();
    expect(client.droppedSessions).toEqual(['s1']);
  });
});

describe('the session\'s state', () => {
  it('follows the events of one attachment only, whatever copies the others get', () => {
    const first = attach(session, link, client);
    const second = attach(session, other, new FakeClient(2));
    event(second, 'user.message');
    expect(session.turn.open).toBe(false);
    event(first, 'user.message');
    expect(session.turn.open).toBe(true);
    event(second, 'session.idle');
    expect(session.turn.open).toBe(true);
    event(first, 'session.idle');
    expect(session.turn.open).toBe(false);
  });

  it('follows the next attachment when the first is gone', () => {
    const first = attach(session, link, client);
    const second = attach(session, other, new FakeClient(2));
    startTurn(session);
    first.gone();
    event(second, 'session.idle');
    expect(told).toEqual(['turn started', 'turn ended: idle']);
  });

  it('ends the turn when the first is gone before its copy of an idle event that the next has had', () => {
    const first = attach(session, link, client);
    const second = attach(session, other, new FakeClient(2));
    startTurn(session);
    event(second, 'session.idle');
    first.gone();
    expect(told).toEqual(['turn started', 'turn ended: idle']);
  });

  it('keeps a turn open that the next has seen begin', () => {
    const first = attach(session, link, client);
    const second = attach(session, other, new FakeClient(2));
    event(second, 'session.idle');
    event(second, 'user.message');
    startTurn(session);
    first.gone();
    expect(session.turn.open).toBe(true);
  });

  it('stays busy over the idle of an autopilot that goes on', () => {
    const attachment = attach(session, link, client);
    startTurn(session);
    event(attachment, 'session.idle', { mode: 'autopilot' });
    expect(session.state).toBe('busy');
    event(attachment, 'session.idle', { mode: 'autopilot', aborted: true });
    expect(told.at(-1)).toBe('turn ended: aborted');
  });

  it('takes an idle event without data for the end of the turn', () => {
    const attachment = attach(session, link, client);
    startTurn(session);
    attachment.session.observe('session.idle', { buffer: Buffer.from('no json'), start: -1, body: 0, end: 7 });
    expect(told.at(-1)).toBe('turn ended: idle');
  });

  it('is stored when the last attachment is gone, and the turn has ended with it', () => {
    const attachment = attach(session, link, client);
    startTurn(session);
    attachment.gone();
    expect(session.state).toBe('stored');
    expect(told).toEqual(['turn started', 'turn ended: client_gone', 'unloaded']);
  });
});

describe('a client that vanishes', () => {
  it('while nothing runs is detached at once', async () => {
    const attachment = attach(session, link, client);
    attachment.vanished(0, LINGER, []);
    expect(attachment.state).toBe('detaching');
    expect(link.calls[0]).toMatchObject({ method: 'session.detach', params: { sessionId: 's1' } });
    await settled();
    expect([attachment.state, session.state, link.places.size]).toEqual(['gone', 'stored', 0]);
  });

  it('in mid-turn leaves the turn running, for a while', () => {
    const attachment = attach(session, link, client);
    startTurn(session);
    attachment.vanished(1_000, LINGER, []);
    expect([attachment.state, attachment.heldUntil, session.state]).toEqual(['held', 31_000, 'lingering']);
    expect(link.calls).toEqual([]);
  });

  it('in mid-turn is not held when lingering is off', () => {
    const attachment = attach(session, link, client);
    startTurn(session);
    attachment.vanished(0, 0, []);
    expect(link.methods).toEqual(['session.detach']);
  });

  it('in mid-turn is not held when somebody else keeps the turn alive', () => {
    const attachment = attach(session, link, client);
    attach(session, other, new FakeClient(2));
    startTurn(session);
    attachment.vanished(0, LINGER, []);
    expect(attachment.state).toBe('gone');
    expect(session.turn.open).toBe(true);
  });

  it('keeps its place on the link until the server has answered the detach', async () => {
    link.holdsAnswers = true;
    const attachment = attach(session, link, client);
    attachment.vanished(0, LINGER, []);
    event(attachment, 'session.shutdown');
    await settled();
    expect([attachment.state, link.places.size, client.events]).toEqual(['detaching', 1, []]);
    link.calls[0]!.answer({ ok: true, result: {} });
    await settled();
    expect([attachment.state, link.places.size]).toEqual(['gone', 0]);
  });

  it('before its attach was answered is released by the answer', async () => {
    const attachment = new Attachment(session, client);
    attachment.take(link);
    session.add(attachment);
    attachment.vanished(0, LINGER, []);
    expect(link.calls).toEqual([]);
    attachment.attached();
    await attachment.release();
    expect([attachment.state, link.methods]).toEqual(['gone', ['session.detach']]);
  });
});

describe('a held turn', () => {
  let held: Attachment;

  beforeEach(() => {
    held = attach(session, link, client);
    startTurn(session);
    held.vanished(0, LINGER, []);
  });

  it('is let go when it is over', async () => {
    event(held, 'session.idle');
    expect(link.methods).toEqual(['session.detach']);
    await settled();
    expect([held.state, told.at(-1)]).toEqual(['gone', 'unloaded']);
  });

  it('is cut off by a release', async () => {
    await held.release();
    expect(told).toEqual(['turn started', 'turn ended: client_gone', 'unloaded']);
  });

  it('is taken over by a client that comes back, on the same link', () => {
    const back = new FakeClient(2);
    held.adopt(back);
    held.attached();
    held.deliverUnanswered();
    event(held, 'assistant.message');
    expect([held.state, held.link, back.events]).toEqual(['attached', link, ['assistant.message']]);
  });

  it('goes on being held when the server refuses the client that came back', () => {
    held.adopt(new FakeClient(2));
    held.holdOn();
    expect([held.state, held.client]).toEqual(['held', undefined]);
  });

  it('that ended while a client tried to come back is let go when the server refuses it', async () => {
    held.adopt(new FakeClient(2));
    event(held, 'session.idle');
    held.holdOn();
    await settled();
    expect([held.state, link.methods]).toEqual(['gone', ['session.detach']]);
  });

  it('is held again when the client that came back vanishes, too', () => {
    held.adopt(new FakeClient(2));
    held.attached();
    held.vanished(5_000, LINGER, []);
    expect([held.state, held.heldUntil]).toEqual(['held', 35_000]);
  });

  it('is gone with its link', () => {
    link.lose();
    expect([held.state, session.state, link.calls]).toEqual(['gone', 'stored', []]);
    expect(told).toEqual(['turn started', 'turn ended: backend_lost', 'unloaded']);
  });
});

describe('the server\'s questions', () => {
  it('that the vanished client had not answered are asked again of the one that comes back', () => {
    const attachment = attach(session, link, client);
    startTurn(session);
    request(attachment, 1);
    attachment.vanished(0, LINGER, [...client.asked]);
    request(attachment, 2);
    expect(link.refused).toEqual([]);
    const back = new FakeClient(2);
    attachment.adopt(back);
    expect(back.asked).toEqual([]);
    attachment.attached();
    attachment.deliverUnanswered();
    attachment.deliverUnanswered();
    expect(back.asked.map(({ idToken }) => idToken)).toEqual(['1', '2']);
  });

  it('of a held turn are refused when it is let go, so that the server waits for nobody', async () => {
    const attachment = attach(session, link, client);
    startTurn(session);
    attachment.vanished(0, LINGER, []);
    request(attachment, 3);
    await attachment.release();
    expect(link.refused).toEqual([{ idToken: '3', name: 'SKYPORT_CLIENT_GONE' }]);
  });

  it('to a client that leaves are refused while it is being detached', () => {
    link.holdsAnswers = true;
    const attachment = attach(session, link, client);
    void attachment.release();
    request(attachment, 4);
    expect(link.refused).toEqual([{ idToken: '4', name: 'SKYPORT_CLIENT_GONE' }]);
  });

  it('that a vanished client of a shared session owes are refused before its link is left', () => {
    const attachment = attach(session, link, client);
    attach(session, other, new FakeClient(2));
    request(attachment, 5);
    attachment.vanished(0, LINGER, [...client.asked]);
    expect([link.retired, link.refused]).toEqual([true, [{ idToken: '5', name: 'SKYPORT_CLIENT_GONE' }]]);
  });
});

describe('a lost link', () => {
  it('tells a client in mid-turn that the turn is over', () => {
    const attachment = attach(session, link, client);
    startTurn(session);
    link.lose();
    expect(client.texts.map(typeOf)).toEqual(['session.error', 'session.idle']);
    expect([attachment.state, attachment.link, session.state]).toEqual(['lost', undefined, 'lost']);
    expect(told).toEqual(['turn started', 'turn ended: backend_lost']);
  });

  it('tells an idle client nothing: the next call brings it back', () => {
    const attachment = attach(session, link, client);
    link.lose();
    expect([attachment.state, client.texts, client.droppedSessions]).toEqual(['lost', [], []]);
  });

  it('tells every client in mid-turn, each by its own link', () => {
    const second = new FakeClient(2);
    attach(session, link, client);
    attach(session, other, second);
    startTurn(session);
    link.lose();
    other.lose();
    expect([client.texts.length, second.texts.length]).toEqual([2, 2]);
    expect(told).toEqual(['turn started', 'turn ended: backend_lost']);
  });

  it('ends an attachment that has no recipe to come back by', () => {
    const attachment = new Attachment(session, client);
    attachment.take(link);
    session.add(attachment);
    link.lose();
    expect([attachment.state, client.droppedSessions]).toEqual(['gone', ['s1']]);
  });

  it('ends an attachment that was being detached', async () => {
    link.holdsAnswers = true;
    const attachment = attach(session, link, client);
    void attachment.release();
    link.lose();
    link.calls[0]!.answer(failure('lost'));
    await settled();
    expect([attachment.state, session.attachments.length, link.residues.size]).toEqual(['gone', 0, 0]);
  });

  it('ends a lost attachment at once when its client leaves', () => {
    const attachment = attach(session, link, client);
    link.lose();
    attachment.vanished(0, LINGER, []);
    expect([attachment.state, session.state, link.calls.length]).toEqual(['gone', 'stored', 0]);
  });

  it('keeps a never used session known as long as anybody lost is connected', () => {
    const first = attach(session, link, client);
    attach(session, other, new FakeClient(2));
    link.lose();
    other.lose();
    first.gone();
    expect(told).toEqual([]);
    session.attachments[0]!.gone();
    expect(told).toEqual(['unloaded']);
  });

  it('that was refused to a client that is still there may be tried again', () => {
    const attachment = attach(session, link, client);
    link.lose();
    attachment.take(other);
    attachment.failed();
    expect([attachment.state, other.places.size]).toEqual(['lost', 0]);
  });
});

describe('leaving a session that others share', () => {
  beforeEach(() => {
    attach(session, other, new FakeClient(2), { streaming: true, workingDirectory: '/w' });
  });

  it('closes a link on which nobody else lives: the server forgets everything of the client', () => {
    const attachment = attach(session, link, client, TOOLS);
    attachment.vanished(0, LINGER, []);
    expect([link.retired, link.calls.length, attachment.state, link.places.size]).toEqual([true, 0, 'gone', 0]);
  });

  it('takes tools and capabilities off before the detach where the link is shared', async () => {
    link.neighbours = 1;
    const attachment = attach(session, link, client, { ...TOOLS, requestElicitation: true });
    attachment.vanished(0, LINGER, []);
    await settled();
    expect(link.retired).toBe(false);
    expect(link.methods).toEqual(['session.resume', 'session.detach']);
    expect(link.calls[0]!.params).toEqual({
      sessionId: 's1', streaming: true, workingDirectory: '/w',
      disableResume: true, tools: [], requestElicitation: false, requestUserInput: false, hooks: false,
    });
    expect(attachment.state).toBe('gone');
  });

  it('detaches only when that was answered, for a server runs both at once', async () => {
    link.neighbours = 1;
    link.holdsAnswers = true;
    const attachment = attach(session, link, client, TOOLS);
    attachment.vanished(0, LINGER, []);
    await settled();
    expect(link.methods).toEqual(['session.resume']);
    link.calls[0]!.answer({ ok: true, result: {} });
    await settled();
    expect(link.methods).toEqual(['session.resume', 'session.detach']);
    expect(link.places.get('s1')).toBe(attachment);
  });

  it('detaches only, where the client had registered nothing', async () => {
    link.neighbours = 1;
    attach(session, link, client).vanished(0, LINGER, []);
    await settled();
    expect(link.methods).toEqual(['session.detach']);
  });

  it('leaves a residue, so that nobody else of the session attaches there', async () => {
    link.neighbours = 1;
    attach(session, link, client, TOOLS).vanished(0, LINGER, []);
    await settled();
    expect([...session.residues]).toEqual([link]);
    expect(link.residues).toEqual(new Set([session]));
    expect(client.left).toEqual([]);
  });

  it('by a detach of its own makes the client remember the residue until it closes', () => {
    const attachment = attach(session, link, client, TOOLS);
    const { recipe } = attachment;
    attachment.ended();
    expect(client.left).toEqual([{ session, link, recipe }]);
  });

  it('leaves no residue when nobody stays', () => {
    for (const one of [...session.attachments]) one.gone();
    const attachment = attach(session, link, client, TOOLS);
    attachment.ended();
    expect([session.residues.size, client.left.length]).toEqual([0, 0]);
  });

  it('has its residues forgotten when the session is unloaded', () => {
    attach(session, link, client).ended();
    expect(session.residues.size).toBe(1);
    session.attachments[0]!.gone();
    expect([session.residues.size, link.residues.size]).toEqual([0, 0]);
  });
});

describe('a residue whose client closes', () => {
  let residue: Residue;

  beforeEach(() => {
    attach(session, other, new FakeClient(2));
    attach(session, link, client, TOOLS).ended();
    residue = client.left[0]!;
  });

  it('closes the link, if nobody lives there', async () => {
    await clear(residue);
    expect([link.retired, link.calls.length]).toEqual([true, 0]);
  });

  it('takes the tools off a link where others live, one step after the other', async () => {
    link.neighbours = 1;
    link.holdsAnswers = true;
    const cleared = clear(residue);
    await settled();
    expect(link.methods).toEqual(['session.resume']);
    link.calls[0]!.answer({ ok: true, result: {} });
    await settled();
    link.calls[1]!.answer({ ok: true, result: {} });
    await cleared;
    expect(link.methods).toEqual(['session.resume', 'session.detach']);
  });

  it('does not detach whoever has attached there meanwhile', async () => {
    link.neighbours = 1;
    link.holdsAnswers = true;
    const cleared = clear(residue);
    session.residues.delete(link);
    link.calls[0]!.answer({ ok: true, result: {} });
    await cleared;
    expect(link.methods).toEqual(['session.resume']);
  });

  it('is left alone when the session was unloaded before, or the link has closed', async () => {
    session.residues.delete(link);
    await clear(residue);
    session.residues.add(link);
    link.open = false;
    await clear(residue);
    expect([link.retired, link.calls.length]).toEqual([false, 0]);
  });

  it('without tools needs nothing taken off', async () => {
    link.neighbours = 1;
    await clear({ ...residue, recipe: recipeOf({}) });
    expect(link.calls).toEqual([]);
  });
});

describe('a prompt that nobody has answered', () => {
  const MESSAGE = 'permission.requested';

  it('is put again to the client that takes a held turn over, before what comes next', () => {
    const attachment = attach(session, link, client);
    startTurn(session);
    event(attachment, MESSAGE, { requestId: 'r1' });
    event(attachment, MESSAGE, { requestId: 'r2' });
    event(attachment, 'permission.completed', { requestId: 'r1' });
    attachment.vanished(0, LINGER, []);
    expect(attachment.needsClient).toBe(true);
    const back = new FakeClient(2);
    attachment.adopt(back);
    attachment.attached();
    attachment.deliverUnanswered();
    expect(back.events).toEqual([MESSAGE]);
  });

  it('that was answered while the client was being attached is not put again', () => {
    const attachment = attach(session, link, client);
    startTurn(session);
    event(attachment, MESSAGE, { requestId: 'r1' });
    attachment.vanished(0, LINGER, []);
    const back = new FakeClient(2);
    attachment.adopt(back);
    event(attachment, 'permission.completed', { requestId: 'r1' });
    attachment.attached();
    attachment.deliverUnanswered();
    expect(back.events).toEqual(['permission.completed']);
  });

  it('is forgotten with the session', () => {
    const attachment = attach(session, link, client);
    event(attachment, MESSAGE, { requestId: 'r1' });
    attachment.gone();
    expect(session.prompts.size).toBe(0);
  });

  it('without an id, or in an event that is no JSON, is none', () => {
    const attachment = attach(session, link, client);
    event(attachment, MESSAGE, {});
    session.observe(MESSAGE, { buffer: Buffer.from('no json'), start: -1, body: 0, end: 7 });
    expect(session.prompts.size).toBe(0);
  });
});

describe('what is told while a turn is held', () => {
  let held: Attachment;
  let back: FakeClient;

  /** As the principals' keys are. */
  const by = (key: string): { user: string; key: string } => ({ user: key, key });

  beforeEach(() => {
    held = attach(session, link, client);
    held.holder = by('alice');
    startTurn(session);
    held.vanished(Date.now(), LINGER, []);
    back = new FakeClient(2);
  });

  /** A client that resumes when nothing is held any more, on a link of its own. */
  function resume(key: string): Attachment {
    const attachment = new Attachment(session, back);
    attachment.resumes(key);
    attachment.take(other);
    session.add(attachment);
    return attachment;
  }

  it('is told to the client that takes it over, when the server has attached it, before what comes then', () => {
    event(held, 'assistant.message_delta');
    held.adopt(back, 'alice');
    event(held, 'assistant.message');
    expect(back.events).toEqual([]);
    held.attached();
    held.deliverUnanswered();
    event(held, 'session.idle');
    expect(back.events).toEqual(['assistant.message_delta', 'assistant.message', 'session.idle']);
  });

  it('is not told to somebody else who may take it over, but what comes from then on', () => {
    event(held, 'assistant.message_delta');
    held.adopt(back, 'service');
    event(held, 'assistant.message');
    held.attached();
    held.deliverUnanswered();
    expect(back.events).toEqual(['assistant.message']);
  });

  it('waits on when the server refuses the client, and goes to the next', () => {
    event(held, 'assistant.message_delta');
    held.adopt(new FakeClient(3), 'alice');
    held.holdOn();
    event(held, 'assistant.message');
    held.adopt(back, 'alice');
    held.attached();
    held.deliverUnanswered();
    expect(back.events).toEqual(['assistant.message_delta', 'assistant.message']);
  });

  it('waits on when the client vanishes before the server has attached it', () => {
    event(held, 'assistant.message_delta');
    held.adopt(new FakeClient(3), 'alice');
    held.vanished(Date.now(), LINGER, []);
    held.attached();
    held.vanished(Date.now(), LINGER, []);
    held.adopt(back, 'alice');
    held.attached();
    held.deliverUnanswered();
    expect(back.events).toEqual(['assistant.message_delta']);
  });

  it('waits on, with the rest of it, when the client is cut off in the middle', () => {
    for (const type of ['assistant.message_delta', 'assistant.message', 'assistant.turn_end']) event(held, type);
    const slow = new FakeClient(3);
    slow.deliverEvent = () => held.vanished(Date.now(), LINGER, []);
    held.adopt(slow, 'alice');
    held.attached();
    held.deliverUnanswered();
    held.adopt(back, 'alice');
    held.attached();
    held.deliverUnanswered();
    expect(back.events).toEqual(['assistant.message', 'assistant.turn_end']);
  });

  it('is told with a prompt of that time once, and after one from before', () => {
    const attachment = attach(sessionOf('s2').session, link, client);
    startTurn(attachment.session);
    event(attachment, 'permission.requested', { requestId: 'before' });
    attachment.vanished(Date.now(), LINGER, []);
    event(attachment, 'assistant.message');
    event(attachment, 'external_tool.requested', { requestId: 'meanwhile' });
    attachment.adopt(back);
    attachment.attached();
    attachment.deliverUnanswered();
    expect(back.events).toEqual(['permission.requested', 'assistant.message', 'external_tool.requested']);
  });

  it('is told at once when the server asks something that its answer to the attach may wait for', () => {
    event(held, 'assistant.message');
    held.adopt(back, 'alice');
    event(held, 'mcp.oauth_required', { requestId: 'r1' });
    expect(back.events).toEqual(['assistant.message', 'mcp.oauth_required']);
  });

  it('is told to the user who resumes when the turn is over, first and once', async () => {
    event(held, 'assistant.message');
    event(held, 'session.idle');
    await settled();
    const attachment = resume('alice');
    event(attachment, 'session.resume');
    expect(back.events).toEqual([]);
    attachment.attached();
    attachment.deliverUnanswered();
    expect(back.events).toEqual(['assistant.message', 'session.idle', 'session.resume']);
  });

  it('is there also while the server is still detaching', () => {
    link.holdsAnswers = true;
    event(held, 'session.idle');
    const attachment = resume('alice');
    attachment.attached();
    attachment.deliverUnanswered();
    expect([held.state, back.events]).toEqual(['detaching', ['session.idle']]);
  });

  it('is kept for another resume when the server refuses this one', async () => {
    event(held, 'session.idle');
    await settled();
    resume('alice').gone();
    const attachment = resume('alice');
    attachment.attached();
    attachment.deliverUnanswered();
    expect(back.events).toEqual(['session.idle']);
  });

  it('is not told when the turn was cut off, for nobody came in time', async () => {
    event(held, 'assistant.message');
    await held.release();
    const attachment = resume('alice');
    attachment.attached();
    attachment.deliverUnanswered();
    expect(back.events).toEqual([]);
  });

  it('ends with the loss of the turn, where nobody takes it up after its server is gone', () => {
    event(held, 'assistant.message');
    link.lose();
    const attachment = resume('alice');
    attachment.attached();
    attachment.deliverUnanswered();
    expect(back.events).toEqual(['assistant.message', 'session.error', 'session.idle']);
  });

  it('waits on when its server is gone before it has attached the client', () => {
    event(held, 'assistant.message');
    held.adopt(back, 'alice');
    link.lose();
    expect([back.droppedSessions, back.events, back.texts]).toEqual([['s1'], [], []]);
    const attachment = resume('alice');
    attachment.attached();
    attachment.deliverUnanswered();
    expect(back.events).toEqual(['assistant.message', 'session.error', 'session.idle']);
  });
});

describe('a client that vanishes while its turn is being taken up on another server', () => {
  it('has the turn held there, with what it misses', () => {
    const attachment = attach(session, link, client);
    startTurn(session);
    attachment.state = 'lost';
    session.recovering = Promise.resolve(true);
    attachment.vanished(1_000, LINGER, []);
    expect([attachment.state, attachment.heldUntil]).toEqual(['lost', 31_000]);
    attachment.take(other);
    event(attachment, 'assistant.message');
    attachment.attached();
    attachment.holdAgain();
    expect(attachment.state).toBe('held');
    const back = new FakeClient(2);
    attachment.adopt(back);
    attachment.attached();
    attachment.deliverUnanswered();
    expect(back.events).toEqual(['assistant.message']);
  });
});
