import { expect, it } from 'vitest';
import { endTurn } from '../../../proxy/clients/rejoin.js';
import { attach, event, FakeClient, FakeLink, sessionOf, startTurn, typeOf } from '../sessions/cast.js';

it('the end of a turn whose server died before all of its clients had heard it is told to those who had not', () => {
  const { session, told } = sessionOf();
  const [slow, quick] = [new FakeClient(1), new FakeClient(2)];
  const first = attach(session, new FakeLink(), slow);
  const second = attach(session, new FakeLink(), quick);
  startTurn(session);
  for (const attachment of [first, second]) event(attachment, 'user.message');
  event(second, 'session.idle');
  expect(session.turn.open).toBe(true);
  endTurn(session);
  expect([slow.texts.map(typeOf), quick.texts, told.at(-1)]).toEqual([['session.idle'], [], 'turn ended: idle']);
});

it('who has heard the end of an earlier turn is told of the end of this one', () => {
  const { session } = sessionOf();
  const client = new FakeClient();
  const attachment = attach(session, new FakeLink(), client);
  startTurn(session);
  event(attachment, 'session.idle');
  expect(session.turn.open).toBe(false);
  startTurn(session);
  endTurn(session);
  expect(client.texts.map(typeOf)).toEqual(['session.idle']);
});
