/** Large events, and beside them a client whose small requests must not wait for them. */
import type { Outcome } from '../load/crowd.js';
import { percentile } from '../load/latencies.js';
import { measured, soon, type Scenario } from './scenario.js';

const STREAMS = 4;
const SIZE = 8 * 1024 * 1024;
const RATE = 16;
const PROBES = 200;
/** Bytes of events, and events a second, before the first round: they take the same way. */
const WARMING = 256 * 1024;
const WARMING_RATE = 400;

export const large: Scenario = {
  name: 'large',
  title: `Large messages: events of 8 MB, ${RATE}/s in ${STREAMS} sessions, and a client beside them with ${PROBES} small requests/s`,
  unit: 'message',
  bed: { backend: 'stand-in', users: STREAMS + 1 },
  seconds: 3,
  prepare: async (bed) => {
    await bed.open({ clients: STREAMS, sessions: STREAMS });
    await bed.open({ clients: 1, sessions: 1, first: STREAMS }, bed.probe);
  },
  warm: async (bed, seconds) => {
    await bed.probe.order<Outcome>('ask', { window: 16, seconds });
    await bed.beginTurns();
    await bed.clients.order('expect', { bytes: WARMING });
    const start = soon();
    const { sent } = await bed.stream({ first: 0, count: STREAMS, seconds, bytes: WARMING, rate: WARMING_RATE, start });
    await bed.clients.order<Outcome>('received', { sent: sent.slice(0, STREAMS), start });
    await bed.endTurns(0, STREAMS);
  },
  round: async (bed, seconds) => {
    await bed.beginTurns();
    const start = soon();
    await bed.clients.order('expect', { bytes: SIZE });
    let probe: Outcome | undefined;
    const round = await measured(bed, async () => {
      const probed = bed.probe.order<Outcome>('askPaced', { rate: PROBES, seconds, start });
      const { sent } = await bed.stream({ first: 0, count: STREAMS, seconds, bytes: SIZE, rate: RATE, start });
      const outcome = await bed.clients.order<Outcome>('received', { sent: sent.slice(0, STREAMS), start });
      probe = await probed;
      return outcome;
    });
    await bed.endTurns(0, STREAMS);
    const { latencies, wrong } = probe!;
    return {
      ...round,
      spread: latencies,
      figures: { ...round.figures, probe_p50_us: percentile(latencies, 50), probe_p99_us: percentile(latencies, 99) },
      wrong: [...round.wrong, ...wrong],
    };
  },
};
