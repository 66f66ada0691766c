/** Everybody comes at once. */
import type { Outcome } from '../load/crowd.js';
import { measured, soon, type Scenario } from './scenario.js';

const RATE = 1000;

export const storm: Scenario = {
  name: 'storm',
  title: `Storm: ${RATE.toLocaleString('en')} connections/s, each with its handshake`,
  unit: 'connection',
  anywhere: true,
  bed: { backend: 'stand-in', users: 200 },
  seconds: 2,
  prepare: async (bed) => { await bed.open({ clients: 1, sessions: 0 }); },
  round: (bed, seconds) => measured(bed, () => bed.clients.order<Outcome>('storm', { rate: RATE, seconds, start: soon() })),
};
