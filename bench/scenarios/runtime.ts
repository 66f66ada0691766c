/** The real CLI server with a stand-in model: what a user waits for. */
import { STEPS, type Step } from '../load/conversation.js';
import { percentile, type Spread } from '../load/latencies.js';
import { Meter } from '../meter.js';
import { cpuEach, type Scenario } from './scenario.js';

const AT_LEAST = 8;

export const runtime: Scenario = {
  name: 'runtime',
  title: 'Real runtime: a stand-in model, one client that creates a session, pings, has a streamed turn, detaches',
  unit: 'turn',
  bed: { backend: 'runtime', users: 1 },
  seconds: 3,
  prepare: (bed) => bed.talk(),
  round: async (bed, seconds) => {
    const meter = new Meter(bed);
    const { turns, wrong, steps } = await bed.clients.order<{ turns: number; wrong: string[]; steps: Record<Step, Spread> }>('converse', { seconds, atLeast: AT_LEAST });
    const reading = meter.stop();
    const times = STEPS.flatMap((step) => [[`${step}_p50_us`, percentile(steps[step], 50)], [`${step}_p99_us`, percentile(steps[step], 99)]]);
    return { messages: turns, figures: { ...(Object.fromEntries(times) as Record<string, number>), ...cpuEach(reading, turns) }, spread: steps.turn, wrong, reading };
  },
};
