/** Events of many sessions, in turns that began before and end after what is measured. An event of 300 bytes is a message of 396. */
import type { Bed } from '../bed.js';
import type { Outcome } from '../load/crowd.js';
import { MESSAGE_OF_300 } from '../load/frames.js';
import type { StreamReport } from '../load/streams.js';
import { measured, soon, type Round, type Scenario } from './scenario.js';


interface Pace {
  /** Events a second of all; left out: as fast as it goes. */
  readonly rate?: number;
  readonly bulk?: boolean;
}

async function streamed(bed: Bed, sessions: number, seconds: number, { rate, bulk }: Pace): Promise<Round> {
  await bed.beginTurns();
  const start = soon();
  const before = bed.sent.length > 0 ? bed.sent : Array.from({ length: sessions }, () => 0);
  await bed.clients.order('expect', { bytes: MESSAGE_OF_300, paced: rate === undefined ? undefined : { start, rate, count: sessions, first: 0, before } });
  let report: StreamReport | undefined;
  const round = await measured(bed, async () => {
    report = await bed.stream({ first: 0, count: sessions, seconds, bytes: MESSAGE_OF_300, rate, bulk, start, most: bed.most(seconds) });
    return bed.clients.order<Outcome>('received', { sent: report.sent, start });
  });
  await bed.endTurns(0, sessions);
  return rate === undefined ? round : { ...round, figures: { ...round.figures, late_sent_ms: report!.behind } };
}

/** The same events as fast as they go: of 20,000/s a second has too few. */
async function unpacedFirst(bed: Bed, seconds: number, size: number): Promise<void> {
  await streamed(bed, size, seconds, {});
}

const SESSIONS = 1000;
const CLIENTS = 200;
const RATE = 20_000;

export const paced: Scenario = {
  name: 'stream-paced',
  title: `Paced stream: ${SESSIONS} sessions of ${CLIENTS} clients, 300-byte events, ${RATE}/s`,
  unit: 'event',
  bed: { backend: 'stand-in', users: CLIENTS },
  seconds: 2,
  prepare: async (bed) => { await bed.open({ clients: CLIENTS, sessions: SESSIONS }); },
  warm: (bed, seconds) => unpacedFirst(bed, seconds, SESSIONS),
  round: (bed, seconds) => streamed(bed, SESSIONS, seconds, { rate: RATE }),
};

export const unpaced: Scenario = {
  name: 'stream',
  title: `Stream as fast as it goes: ${SESSIONS} sessions of ${CLIENTS} clients, 300-byte events`,
  unit: 'event',
  bed: { backend: 'stand-in', users: CLIENTS },
  seconds: 2,
  prepare: async (bed) => { await bed.open({ clients: CLIENTS, sessions: SESSIONS }); },
  round: (bed, seconds) => streamed(bed, SESSIONS, seconds, {}),
};

/** The best case of a balancer that knows nothing: it reads and writes a full buffer each time. */
export const bulk: Scenario = {
  ...unpaced,
  name: 'stream-bulk',
  extra: true,
  title: `Stream in blocks of 64 KB for each connection: ${SESSIONS} sessions of ${CLIENTS} clients, 300-byte events`,
  round: (bed, seconds) => streamed(bed, SESSIONS, seconds, { bulk: true }),
};

const GROWN_CLIENTS = 100;

export const growth: Scenario = {
  name: 'growth',
  title: `Growth: ever more sessions of ${GROWN_CLIENTS} clients, 300-byte events, ${RATE}/s of all together`,
  unit: 'event',
  sizes: [100, 1_000, 10_000],
  targets: ['direct', 'haproxy', 'skyport'],
  bed: { backend: 'stand-in', users: GROWN_CLIENTS },
  seconds: 2,
  prepare: async (bed, size) => { await bed.open({ clients: GROWN_CLIENTS, sessions: size }); },
  warm: unpacedFirst,
  round: (bed, seconds, size) => streamed(bed, size, seconds, { rate: RATE }),
};
