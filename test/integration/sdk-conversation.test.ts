import { expect, it } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { Recording, turn } from '../support/sdk.js';
import { textOf } from '../support/prompt.js';

forEachTarget('a conversation', (target) => {
  it('gets an answer to a message', async () => {
    const session = await target.client().createSession(target.session());
    const answer = await session.sendAndWait('hello');
    expect(answer?.data.content).toBe('answer 1: hello');
  });

  it('sends the model the whole history at every turn', async () => {
    const session = await target.client().createSession(target.session());
    for (const prompt of ['my name is Ada', 'I like trains', 'who am I']) await session.sendAndWait(prompt);
    const history = target.model.about('who am I')[0]!.messages.slice(1).map((message) => [message.role, textOf(message).replace(/^<.*>\s*/, '')]);
    expect(history).toEqual([
      ['user', 'my name is Ada'], ['assistant', 'answer 1: my name is Ada'],
      ['user', 'I like trains'], ['assistant', 'answer 2: I like trains'],
      ['user', 'who am I'],
    ]);
  });

  it('tells the story of a turn in order', async () => {
    const session = await target.client().createSession(target.session());
    const said = await turn(session, 'hello');
    expect(said.story).toEqual(['user.message', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end', 'session.idle']);
  });

  it('streams deltas in order when streaming is asked for', async () => {
    const session = await target.client().createSession(target.session({ streaming: true }));
    const said = await turn(session, 'count [[stream:300]]');
    const deltas = said.of('assistant.message_delta').map((event) => event.data.deltaContent).join('');
    expect(deltas).toBe(Array.from({ length: 300 }, (_, index) => `d${index} `).join(''));
    expect(said.text).toBe(deltas);
  });

  it('delivers the first delta while the model is still at work', async () => {
    const session = await target.client().createSession(target.session({ streaming: true }));
    const said = new Recording(session);
    await session.send('slowly [[stream:3]] [[hold:first-delta]]');
    await said.until('assistant.message_delta');
    expect(said.of('assistant.message')).toEqual([]);
    target.model.release('first-delta');
    await said.until('session.idle');
    expect(said.text).toBe('d0 d1 d2 ');
  });

  it('sends no deltas when streaming is not asked for', async () => {
    const session = await target.client().createSession(target.session());
    const said = await turn(session, 'count [[stream:5]]');
    expect(said.of('assistant.message_delta')).toEqual([]);
  });

  it('answers messages sent during a turn one after the other and is idle once', async () => {
    const session = await target.client().createSession(target.session());
    const said = new Recording(session);
    await session.send('one [[hold:queued]]');
    await target.model.asked('[[hold:queued]]');
    await session.send('two');
    await session.send('three');
    target.model.release('queued');
    await said.until('session.idle');
    expect(said.texts.map((text) => text.slice(0, 10))).toEqual(['answer 1: ', 'answer 2: ', 'answer 3: ']);
    expect(said.of('user.message').map((event) => event.data.content)).toEqual(['one [[hold:queued]]', 'two', 'three']);
  });

  it('passes a text attachment to the model', async () => {
    const session = await target.client().createSession(target.session());
    const data = Buffer.from('the text of the note').toString('base64');
    await turn(session, { prompt: 'read the note', attachments: [{ type: 'blob', data, mimeType: 'text/plain', displayName: 'note.txt' }] });
    expect(textOf(target.model.about('read the note')[0]!.messages.at(-1)!)).toContain('the text of the note');
  });

  it('tells the attachments of a message to its listeners', async () => {
    const session = await target.client().createSession(target.session());
    const data = Buffer.from('PNG').toString('base64');
    const said = await turn(session, { prompt: 'look', attachments: [{ type: 'blob', data, mimeType: 'text/plain', displayName: 'dot.txt' }] });
    expect(said.of('user.message')[0]!.data.attachments).toMatchObject([{ type: 'blob', displayName: 'dot.txt' }]);
  });

  it('carries text of every script and a very long message unharmed', async () => {
    const session = await target.client().createSession(target.session());
    const text = `日本語 🚀 "quoted" \\ back \u2028 ${'x'.repeat(300_000)} end`;
    const said = await turn(session, text);
    expect(said.of('user.message')[0]!.data.content).toBe(text);
    expect(said.text).toBe(`answer 1: ${text}`);
  });

  it('reports a failing model as session.error and goes on afterwards', async () => {
    const session = await target.client().createSession(target.session());
    const failed = new Recording(session);
    await expect(session.sendAndWait('fail [[error:400]]')).rejects.toThrow(/400/);
    await failed.until('session.idle');
    const said = await turn(session, 'and now');
    expect(said.text).toContain('and now');
  });

  it('keeps many sessions of one client apart', async () => {
    const client = target.client();
    const sessions = await Promise.all(Array.from({ length: 12 }, () => client.createSession(target.session({ streaming: true }))));
    const turns = await Promise.all(sessions.map((session, index) => turn(session, `I am ${index}`)));
    expect(turns.map((said) => said.text)).toEqual(sessions.map((_, index) => `answer 1: I am ${index}`));
    const again = await Promise.all(sessions.map((session, index) => turn(session, `again ${index}`)));
    expect(again.map((said) => said.text)).toEqual(sessions.map((_, index) => `answer 2: again ${index}`));
  });

  it('answers what has no session: ping, status, auth status', async () => {
    const client = target.client();
    await client.start();
    expect((await client.ping('hi')).message).toBe('pong: hi');
    expect((await client.getStatus()).protocolVersion).toBe(3);
    expect((await client.getAuthStatus()).isAuthenticated).toBe(false);
  });
});
