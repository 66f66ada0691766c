/** The clients, in a process of their own. */
import { Conversation } from './conversation.js';
import { Crowd } from './crowd.js';
import { obey } from './orders.js';

const crowd = new Crowd();
let conversation: Conversation;

obey({
  open: crowd.open.bind(crowd),
  beginTurns: crowd.beginTurns.bind(crowd),
  endTurns: crowd.endTurns.bind(crowd),
  ask: crowd.ask.bind(crowd),
  askPaced: crowd.askPaced.bind(crowd),
  expect: crowd.expect.bind(crowd),
  received: crowd.received.bind(crowd),
  storm: crowd.storm.bind(crowd),
  close: crowd.close.bind(crowd),
  talk: async ({ host, port, model, token }: { host: string; port: number; model: string; token?: string }) => {
    conversation = await Conversation.open({ host, port }, model, token);
  },
  converse: (order: { seconds: number; atLeast: number }) => conversation.run(order),
});
