/**
 * Requests and their answers. They are about a session, so that they are passed on: a `ping` Skyport answers
 * by itself. At an address of somebody else's they are pings.
 */
import type { Outcome } from '../load/crowd.js';
import { measured, soon, type Scenario } from './scenario.js';

const CONNECTIONS = 64;
/** What a client with a few agents has on the way at one time. */
const WINDOW = 16;

export const pingPong: Scenario = {
  name: 'ping-pong',
  title: 'Ping-pong: one connection, a request, its answer, the next',
  unit: 'request',
  anywhere: true,
  bed: { backend: 'stand-in', users: 1 },
  seconds: 2,
  prepare: async (bed) => { await bed.open({ clients: 1, sessions: bed.foreign ? 0 : 1 }); },
  round: (bed, seconds) => measured(bed, () => bed.clients.order<Outcome>('ask', { window: 1, seconds })),
};

export const pipelined: Scenario = {
  name: 'pipelined',
  title: `Pipelined: ${CONNECTIONS} connections, ${WINDOW} requests on the way on each`,
  unit: 'request',
  anywhere: true,
  bed: { backend: 'stand-in', users: CONNECTIONS },
  seconds: 2,
  prepare: async (bed) => { await bed.open({ clients: CONNECTIONS, sessions: bed.foreign ? 0 : CONNECTIONS }); },
  round: (bed, seconds) => measured(bed, () => bed.clients.order<Outcome>('ask', { window: WINDOW, seconds })),
};

const CLIENTS = 1000;
const RATE = 4000;

/** Skyport needs a few links for all of them; a balancer needs a connection of the server for each client, and a server has 128. */
export const crowd: Scenario = {
  name: 'crowd',
  title: `Crowd: ${CLIENTS} clients of one CLI server, which takes 128 connections; ${RATE} requests/s of those that it serves`,
  unit: 'request',
  bed: { backend: 'stand-in', users: 200, maxConnections: 128 },
  seconds: 2,
  prepare: async (bed) => {
    const { clients, refused } = await bed.open({ clients: CLIENTS, sessions: CLIENTS, tolerant: true });
    bed.served = clients;
    if (refused !== undefined) bed.note = `${CLIENTS - clients} of ${CLIENTS} clients are not served (${refused})`;
  },
  round: async (bed, seconds) => {
    const round = await measured(bed, () => bed.clients.order<Outcome>('askPaced', { rate: RATE, seconds, start: soon() }), () => ({ served: bed.served }));
    return bed.note === undefined ? round : { ...round, notes: [bed.note] };
  },
};
