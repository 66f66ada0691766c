/**
 * Kills, stops and drains in a row while sessions work. `SKYPORT_CHAOS_EVENTS` says how many,
 * `SKYPORT_CHAOS_SEED` which, `SKYPORT_CHAOS_LOG` where to write what happens.
 */
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { IMPATIENT_HEALTH, Site } from '../support/site.js';
import { dice, logTo, Storm } from '../support/storm.js';

const scope = scopeOfEachTest();

const SEED = Number(process.env.SKYPORT_CHAOS_SEED ?? 20_251);
const EVENTS = Number(process.env.SKYPORT_CHAOS_EVENTS ?? 60);

/** Milliseconds between two of them, on average. */
const PACE = 700;

it(`no history is corrupt, lost, mixed or doubled, and no tool is run twice, whatever becomes of the servers (seed ${SEED})`, async () => {
  const site = await Site.start(scope, {
    servers: 2, managed: 2, config: { health: IMPATIENT_HEALTH, sessions: { state: 'skyport', linger: '30s' }, limits: { sessions_per_user: 1_000 } },
  });
  await site.until(({ backends }) => backends.filter(({ state }) => state === 'up').length === 4);
  const log = logTo(process.env.SKYPORT_CHAOS_LOG);
  const storm = new Storm(site, dice(SEED), ['cli-1', 'cli-2', 'managed-1', 'managed-2'], log, (id, history) => {
    if (process.env.SKYPORT_CHAOS_LOG !== undefined) writeFileSync(`${process.env.SKYPORT_CHAOS_LOG}.${id}.jsonl`, history);
  });
  const faults = await storm.rage(EVENTS, 16, PACE);
  for (const line of [JSON.stringify(storm.tally), ...faults]) log(line);
  if (process.env.SKYPORT_CHAOS_LOG !== undefined) writeFileSync(`${process.env.SKYPORT_CHAOS_LOG}.skyport`, site.skyport.log.map((line) => JSON.stringify(line)).join('\n'));
  console.log(`seed ${SEED}: ${JSON.stringify(storm.tally)}`);
  expect(faults).toEqual([]);
  expect(site.skyport.log.filter(({ event }) => event === 'bug')).toEqual([]);
}, 120_000 + EVENTS * 4 * PACE);
