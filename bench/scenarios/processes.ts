/** What another process gives: one Skyport, and two on one Redis, each with its clients and its server. */
import type { Outcome } from '../load/crowd.js';
import { MESSAGE_OF_300 } from '../load/frames.js';
import { Meter } from '../meter.js';
import { install } from '../rivals/packages.js';
import { cpuEach, soon, type Scenario } from './scenario.js';

const CLIENTS = 50;
const SESSIONS = 250;
const RATE = 5_000;

export const processes: Scenario = {
  name: 'processes',
  title: `Several processes on one Redis: for each ${SESSIONS} sessions of ${CLIENTS} clients, and ${RATE.toLocaleString('en')} events of 300 bytes a second`,
  unit: 'event',
  sizes: [1, 2],
  multiplies: true,
  extra: true,
  targets: ['skyport'],
  missing: () => install('redis-server', ['redis-server']),
  bed: { backend: 'stand-in', users: CLIENTS },
  seconds: 2,
  prepare: async (bed) => {
    for (const one of [bed, ...bed.twins]) await one.open({ clients: CLIENTS, sessions: SESSIONS });
  },
  round: async (bed, seconds) => {
    const beds = [bed, ...bed.twins];
    await Promise.all(beds.map((one) => one.beginTurns()));
    const start = soon();
    await Promise.all(beds.map((one) => {
      const before = one.sent.length > 0 ? one.sent : Array.from({ length: SESSIONS }, () => 0);
      return one.clients.order('expect', { bytes: MESSAGE_OF_300, paced: { start, rate: RATE, count: SESSIONS, first: 0, before } });
    }));
    const meter = new Meter(...beds);
    const outcomes = await Promise.all(beds.map(async (one) => {
      const { sent } = await one.stream({ first: 0, count: SESSIONS, seconds, bytes: MESSAGE_OF_300, rate: RATE, start });
      return one.clients.order<Outcome>('received', { sent, start });
    }));
    const reading = meter.stop();
    await Promise.all(beds.map((one) => one.endTurns(0, SESSIONS)));
    const messages = outcomes.reduce((sum, outcome) => sum + outcome.messages, 0);
    const took = Math.max(...outcomes.map((outcome) => outcome.took));
    return { messages, figures: { ...cpuEach(reading, messages), per_s: (messages * 1000) / took }, wrong: outcomes.flatMap(({ wrong }) => wrong), reading };
  },
};
