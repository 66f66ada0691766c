/** Clients that are there and say nothing. The first thousand are the warm-up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { family, memoryOf } from '../machine.js';
import { mostConnections } from '../rivals/rival.js';
import { Meter } from '../meter.js';
import { cpuEach, type Scenario } from './scenario.js';

/** Connections that are kept free where open files are few. */
const SPARE = 100;
const WARM = 1_000;
const CLIENTS = 10_000;
/** Milliseconds for a target to put away what it needed for the handshakes. */
const SETTLE = 2_000;

export const idle: Scenario = {
  name: 'idle',
  title: `Idle: ${CLIENTS.toLocaleString('en')} clients that have said \`connect\` and nothing else`,
  unit: 'client',
  fresh: true,
  bed: { backend: 'stand-in', users: 200 },
  seconds: 0,
  prepare: async (bed) => {
    await bed.open({ clients: WARM, sessions: 0 });
    await sleep(SETTLE / 2);
  },
  round: async (bed) => {
    const one = bed.rival.name === 'skyport' || bed.rival.name === 'direct';
    const wanted = one ? CLIENTS : Math.min(CLIENTS, mostConnections() - SPARE);
    const memory = (): number => (bed.pid === undefined ? 0 : memoryOf(family(bed.pid)));
    const before = memory();
    const meter = new Meter(bed);
    const { clients } = await bed.open({ clients: wanted - WARM, sessions: 0 });
    await sleep(SETTLE);
    const reading = meter.stop();
    const figures: Record<string, number> = bed.pid === undefined ? {} : { kib_each: (memory() - before) / 1024 / (wanted - WARM) };
    const notes = wanted === CLIENTS ? [] : [`${wanted.toLocaleString('en')} clients, since each takes two open files, and a process may have few here`];
    return { messages: clients, figures: { ...figures, ...cpuEach(reading, wanted - WARM) }, wrong: clients === wanted ? [] : [`${wanted - clients} clients are not there`], notes, reading };
  },
};
