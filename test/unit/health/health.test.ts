import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Health, type HealthOptions, type HealthSources, type HealthState } from '../../../proxy/backends/health.js';

const OPTIONS: HealthOptions = {
  interval: 2_000, timeout: 2_000, rise: 2, fall: 3,
  ejection: { base: 10_000, max: 60_000, errors: 5 }, slowStart: 10_000,
};

/** A backend whose changes of state are written down as `from>to: reason`. */
function observed(over: Partial<HealthOptions> = {}, sources: HealthSources = { random: () => 0 }) {
  const changes: string[] = [];
  const health = new Health({ ...OPTIONS, ...over }, (from, to, reason) => changes.push(`${from}>${to}: ${reason}`), sources);
  return { health, changes };
}

function upAt(now: number, over: Partial<HealthOptions> = {}, sources?: HealthSources) {
  const made = observed(over, sources);
  made.health.probeOk(now, 1);
  made.changes.length = 0;
  return made;
}

describe('a starting backend', () => {
  it('is up after one good probe', () => {
    const { health, changes } = observed();
    health.probeOk(5, 0.3);
    expect(health.state).toBe('up');
    expect(health.latencyMs).toBe(0.3);
    expect(changes).toEqual(['starting>up: 1 good probe']);
  });

  it('is down after fall bad probes', () => {
    const { health, changes } = observed();
    for (const now of [1, 2, 3]) health.probeFailed(now, 'refused');
    expect(changes).toEqual(['starting>down: 3 bad probes: refused']);
  });

  it('takes all its weight the first time it comes up', () => {
    const { health } = observed();
    health.probeOk(5, 1);
    expect(health.ramp(5)).toBe(1);
  });
});

describe('an up backend', () => {
  it('goes down after fall bad probes in a row and not before', () => {
    const { health, changes } = upAt(0);
    health.probeFailed(1, 'timeout');
    health.probeFailed(2, 'timeout');
    expect(health.state).toBe('up');
    health.probeFailed(3, 'timeout');
    expect(changes).toEqual(['up>down: 3 bad probes: timeout']);
  });

  it('forgets bad probes at a good one', () => {
    const { health } = upAt(0);
    health.probeFailed(1, 'timeout');
    health.probeFailed(2, 'timeout');
    health.probeOk(3, 1);
    health.probeFailed(4, 'timeout');
    health.probeFailed(5, 'timeout');
    expect(health.state).toBe('up');
  });

  it('goes down at once when its links break', () => {
    const { health, changes } = upAt(0);
    health.connectionLost(7, 'connection reset');
    expect(changes).toEqual(['up>down: connection reset']);
  });

  it('goes down at once when it says that it shuts down', () => {
    const { health, changes } = upAt(0);
    health.shutdownNotice(7);
    expect(changes).toEqual(['up>down: shutting down']);
  });

  it('counts bad probes by new options as soon as they are given', () => {
    const { health } = upAt(0);
    health.probeFailed(1, 'timeout');
    health.update({ ...OPTIONS, fall: 2 });
    health.probeFailed(2, 'timeout');
    expect(health.state).toBe('down');
  });
});

describe('a down backend', () => {
  function downAt(now: number, over: Partial<HealthOptions> = {}) {
    const made = upAt(0, over);
    made.health.connectionLost(now, 'lost');
    made.changes.length = 0;
    return made;
  }

  it('comes back after rise good probes in a row', () => {
    const { health, changes } = downAt(1);
    health.probeOk(2, 1);
    expect(health.state).toBe('down');
    health.probeOk(3, 1);
    expect(changes).toEqual(['down>up: 2 good probes']);
  });

  it('starts over at a bad probe', () => {
    const { health } = downAt(1);
    health.probeOk(2, 1);
    health.probeFailed(3, 'refused');
    health.probeOk(4, 1);
    expect(health.state).toBe('down');
  });

  it('starts over when its links break', () => {
    const { health } = downAt(1);
    health.probeOk(2, 1);
    health.connectionLost(3, 'lost again');
    health.probeOk(4, 1);
    expect(health.state).toBe('down');
  });

  it('reports nothing more while it stays down', () => {
    const { health, changes } = downAt(1);
    for (let now = 2; now < 20; now++) health.probeFailed(now, 'refused');
    health.connectionLost(20, 'lost');
    health.shutdownNotice(21);
    health.passiveFailure(22, 'late answer');
    expect(changes).toEqual([]);
  });

  it('gets its weight back linearly over slow_start, from a tenth on', () => {
    const { health } = downAt(1);
    expect(health.ramp(2)).toBe(0);
    health.probeOk(2, 1);
    health.probeOk(1_000, 1);
    expect([1_000, 1_500, 6_000, 8_500, 11_000, 99_000].map((now) => health.ramp(now))).toEqual([0.1, 0.1, 0.5, 0.75, 1, 1]);
  });

  it('gets all its weight back at once without slow_start', () => {
    const { health } = downAt(1, { slowStart: 0 });
    health.probeOk(2, 1);
    health.probeOk(3, 1);
    expect(health.ramp(3)).toBe(1);
  });
});

describe('a new process behind the name', () => {
  it('needs one good probe, and starts slowly', () => {
    const { health, changes } = upAt(0);
    health.connectionLost(1, 'killed');
    health.restarted(2, 'managed server started');
    expect(health.nextProbeAt(2)).toBe(2);
    health.probeOk(3, 1);
    expect(changes).toEqual(['up>down: killed', 'down>starting: managed server started', 'starting>up: 1 good probe']);
    expect(health.ramp(3)).toBe(0.1);
  });

  it('does not serve out the ejection of the old one', () => {
    const { health } = upAt(0);
    for (let i = 0; i < 5; i++) health.passiveFailure(1, 'late answer');
    health.restarted(2, 'managed server started');
    health.probeOk(3, 1);
    expect(health.state).toBe('up');
  });
});

describe('probe times', () => {
  it('are due at once, and then each interval, answered or not', () => {
    const { health } = observed();
    expect(health.nextProbeAt(100)).toBe(100);
    health.probeStarted(100);
    expect(health.nextProbeAt(100)).toBe(2_100);
    health.probeOk(101, 1);
    expect(health.nextProbeAt(101)).toBe(2_100);
    health.probeStarted(2_100);
    expect(health.nextProbeAt(2_101)).toBe(4_100);
  });

  it('do not drift when the owner is late each time', () => {
    const { health } = observed();
    health.probeStarted(0);
    health.probeOk(1, 1);
    for (let n = 1; n <= 10; n++) health.probeStarted(n * 2_000 + 90);
    expect(health.nextProbeAt(20_100)).toBe(22_000);
  });

  it('do not pile up when the owner slept through many', () => {
    const { health } = observed();
    health.probeStarted(0);
    health.probeStarted(50_000);
    expect(health.nextProbeAt(50_001)).toBe(52_000);
  });

  it('come twice as often while an up backend fails them', () => {
    const { health } = upAt(0);
    health.probeStarted(1_000);
    health.probeFailed(1_010, 'refused');
    expect(health.nextProbeAt(1_010)).toBe(2_010);
    health.probeStarted(2_010);
    expect(health.nextProbeAt(2_010)).toBe(3_010);
  });

  it('wait for the end of an ejection', () => {
    const { health } = upAt(0);
    health.probeStarted(0);
    for (let i = 0; i < 5; i++) health.passiveFailure(500, 'late answer');
    expect(health.nextProbeAt(501)).toBe(10_500);
  });

  it('follow a new interval from the next probe on', () => {
    const { health } = observed();
    health.probeStarted(0);
    health.update({ ...OPTIONS, interval: 500 });
    health.probeStarted(2_000);
    expect(health.nextProbeAt(2_000)).toBe(2_500);
  });
});

describe('a process that is stopped', () => {
  /** Runs the owner's loop against a server that answers nothing from `stopAt` on; gives when it is down. */
  function downAfterStop(options: HealthOptions, stopAt: number, tick: number): number {
    let now = 0;
    let downAt = -1;
    const deadlines: number[] = [];
    const health = new Health(options, (_from, to) => { if (to === 'down') downAt = now; });
    for (; downAt < 0 && now < 1_000_000; now += tick) {
      while (deadlines[0] !== undefined && deadlines[0] <= now) {
        deadlines.shift();
        health.probeFailed(now, 'timeout');
      }
      if (downAt >= 0) break;
      if (health.nextProbeAt(now) <= now) {
        health.probeStarted(now);
        if (now < stopAt) health.probeOk(now, 0.1);
        else deadlines.push(now + options.timeout);
      }
    }
    return downAt;
  }

  it('is out within fall * interval + timeout, whenever it is stopped and however coarse the ticks', () => {
    const cases = fc.record({
      interval: fc.integer({ min: 200, max: 5_000 }), timeout: fc.integer({ min: 100, max: 8_000 }),
      fall: fc.integer({ min: 1, max: 5 }), stopAt: fc.integer({ min: 1, max: 20_000 }), tick: fc.constantFrom(10, 50),
    });
    fc.assert(fc.property(cases, ({ stopAt, tick, ...times }) => {
      const downAt = downAfterStop({ ...OPTIONS, ...times }, stopAt, tick);
      // Two ticks: the one that sends the first probe late, and the one that sees its deadline late.
      expect(downAt - stopAt).toBeLessThanOrEqual(times.fall * times.interval + times.timeout + 2 * tick);
      expect(downAt).toBeGreaterThan(stopAt);
    }), { numRuns: 500 });
  });

  it('is out well within the bound with the default times', () => {
    for (let stopAt = 1; stopAt < 6_000; stopAt += 37) {
      expect(downAfterStop(OPTIONS, stopAt, 100) - stopAt).toBeLessThanOrEqual(8_000);
    }
  });
});

describe('the state machine', () => {
  it('takes only the edges of its drawing, and reports each change exactly once', () => {
    const edges = new Set(['starting>up', 'starting>down', 'up>down', 'up>ejected', 'down>up', 'ejected>up', 'ejected>down',
      'up>starting', 'down>starting', 'ejected>starting']);
    const report = fc.constantFrom('ok', 'ok', 'bad', 'bad', 'passive', 'passive', 'success', 'lost', 'notice', 'restarted');
    fc.assert(fc.property(fc.array(fc.tuple(report, fc.nat(5_000)), { maxLength: 200 }), (reports) => {
      let state: HealthState = 'starting';
      const health = new Health({ ...OPTIONS, fall: 2, ejection: { base: 1_000, max: 8_000, errors: 2 } }, (from, to) => {
        expect(from).toBe(state);
        expect(edges).toContain(`${from}>${to}`);
        state = to;
      });
      let now = 0;
      for (const [kind, wait] of reports) {
        now += wait;
        if (kind === 'ok') health.probeOk(now, 1);
        if (kind === 'bad') health.probeFailed(now, 'x');
        if (kind === 'passive') health.passiveFailure(now, 'x');
        if (kind === 'success') health.passiveSuccess(now);
        if (kind === 'lost') health.connectionLost(now, 'x');
        if (kind === 'notice') health.shutdownNotice(now);
        if (kind === 'restarted') health.restarted(now, 'x');
        expect(health.state).toBe(state);
        const ramp = health.ramp(now);
        expect(health.state === 'up' ? ramp >= 0.1 && ramp <= 1 : ramp === 0).toBe(true);
        expect(health.nextProbeAt(now)).toBeGreaterThanOrEqual(now);
      }
    }));
  });
});
