/**
 * Measures a scenario: its targets are set up side by side, warmed up, and then measured in turns, since other work
 * on a machine changes from minute to minute. What is compared is compared within one round.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Bed } from './bed.js';
import { busy } from './machine.js';
import { BOTTLENECK, DISTURBED } from './meter.js';
import type { Address, Rival } from './rivals/rival.js';
import type { Round, Scenario } from './scenarios/scenario.js';

export interface Plan {
  readonly rounds: number;
  /** Of what a round usually takes. */
  readonly shorter: number;
  /** Rounds that may be added when others use the machine. */
  readonly again: number;
  /** Seconds that all rounds of a scenario together wait for others to leave the machine alone. */
  readonly patience: number;
  /** Instead of rivals. */
  readonly target?: { readonly address: Address; readonly token?: string };
}

export interface MeasuredRound extends Round {
  readonly number: number;
  readonly disturbed: boolean;
  /** Processes of the load that held it up. */
  readonly bottleneck: readonly string[];
}

export interface Row {
  readonly scenario: string;
  readonly title: string;
  readonly unit: string;
  readonly target: string;
  readonly targetTitle: string;
  readonly size?: number;
  /** Of the run. */
  readonly date: string;
  readonly rounds: MeasuredRound[];
  /** Why it could not be measured, or not to the end. */
  failed?: string;
}

interface Lane {
  readonly row: Row;
  readonly start: () => Promise<Bed>;
  readonly size: number;
  bed: Bed | undefined;
}

export async function run(scenario: Scenario, rivals: readonly Rival[], plan: Plan, say: (line: string) => void): Promise<Row[]> {
  const lanes = lanesOf(scenario, rivals, plan);
  const seconds = scenario.seconds * plan.shorter;
  const quiet = new Quiet(plan.patience);
  try {
    if (!scenario.fresh) {
      await Promise.all(lanes.map((lane) => attempt(lane, () => ready(lane, scenario))));
      for (const lane of lanes) await attempt(lane, () => warm(lane, scenario, Math.min(1.5, seconds)));
    }
    for (let number = 1; number <= plan.rounds + plan.again; number++) {
      if (number > plan.rounds && calm(lanes) >= plan.rounds) break;
      // Who is first is another one each time.
      for (let i = 0; i < lanes.length; i++) {
        await quiet.wait();
        await measure(lanes[(i + number) % lanes.length]!, number, scenario, seconds, say);
      }
    }
  } finally {
    await Promise.all(lanes.map(({ bed }) => bed?.stop()));
  }
  return lanes.map(({ row }) => row);
}

/** The figures that count: of undisturbed rounds, when those are at least half of all. */
export function counting(row: Row): readonly MeasuredRound[] {
  return calmest(row.rounds);
}

/** Those that were not disturbed, when they are at least half of all; otherwise all. */
export function calmest<T extends { readonly disturbed: boolean }>(rounds: readonly T[]): readonly T[] {
  const calmOnes = rounds.filter(({ disturbed }) => !disturbed);
  return calmOnes.length * 2 >= rounds.length ? calmOnes : rounds;
}

/** Waits until next to nothing runs, as long as there is patience left. */
class Quiet {
  constructor(private patience: number) {}

  async wait(): Promise<void> {
    while (this.patience > 0) {
      const before = busy();
      await sleep(LOOK_MS);
      const after = busy();
      if ((after.idle - before.idle) / (after.total - before.total) >= QUIET_IDLE) return;
      this.patience -= LOOK_MS / 1000;
    }
  }
}

const LOOK_MS = 250;
const QUIET_IDLE = 0.9;

function lanesOf(scenario: Scenario, rivals: readonly Rival[], { target }: Plan): Lane[] {
  const { name, title, unit, sizes, targets } = scenario;
  const lane = (targetName: string, targetTitle: string, size: number, start: () => Promise<Bed>): Lane => {
    const row: Row = { scenario: name, title, unit, target: targetName, targetTitle, ...(sizes && { size }), date: new Date().toISOString().slice(0, 10), rounds: [] };
    return { row, start, size, bed: undefined };
  };
  if (target) return [lane('target', 'target', sizes?.[0] ?? 0, () => Promise.resolve(Bed.at(target.address, target.token)))];
  return (sizes ?? [0]).flatMap((size) => rivals
    .filter((rival) => targets?.includes(rival.name) ?? true)
    .map((rival) => lane(rival.name, rival.title, size, () => Bed.start(rival, scenario.multiplies ? { ...scenario.bed, onRedis: size } : scenario.bed))));
}

async function ready(lane: Lane, scenario: Scenario): Promise<void> {
  lane.bed = await lane.start();
  await scenario.prepare(lane.bed, lane.size);
}

async function warm(lane: Lane, scenario: Scenario, seconds: number): Promise<void> {
  await scenario.warm?.(lane.bed!, seconds, lane.size);
  await scenario.round(lane.bed!, seconds, lane.size);
}

async function measure(lane: Lane, number: number, scenario: Scenario, seconds: number, say: (line: string) => void): Promise<void> {
  const { row } = lane;
  const failedBefore = row.failed !== undefined;
  await attempt(lane, async () => {
    if (scenario.fresh) await ready(lane, scenario);
    const round = await scenario.round(lane.bed!, seconds, lane.size);
    const bottleneck = Object.entries(round.reading.shares).filter(([name, share]) => name !== 'target' && share > BOTTLENECK).map(([name]) => name);
    // A target that was given by its address may be one of those others.
    const disturbed = !lane.bed!.foreign && round.reading.others > DISTURBED;
    row.rounds.push({ ...round, number, disturbed, bottleneck });
    say(lineOf(row, row.rounds.at(-1)!));
    if (scenario.fresh) {
      await lane.bed!.stop();
      lane.bed = undefined;
    }
  });
  if (!failedBefore && row.failed !== undefined) say(`${nameOf(row)} FAILED: ${firstLine(row.failed)}`);
}

async function attempt(lane: Lane, work: () => Promise<void>): Promise<void> {
  if (lane.row.failed !== undefined) return;
  try {
    await work();
  } catch (error) {
    lane.row.failed = String(error instanceof Error ? error.message : error);
    await lane.bed?.stop();
    lane.bed = undefined;
  }
}

export function firstLine(text: string): string {
  return text.split('\n', 1)[0]!;
}

/** Rounds in which no target was disturbed. */
function calm(lanes: readonly Lane[]): number {
  return Math.min(...lanes.filter(({ row }) => row.failed === undefined).map(({ row }) => row.rounds.filter(({ disturbed }) => !disturbed).length));
}

export function nameOf({ scenario, size, target }: Row): string {
  return `${scenario}${size === undefined ? '' : ` ${size}`} ${target}`;
}

function lineOf(row: Row, round: MeasuredRound): string {
  const figures = Object.entries(round.figures).map(([name, value]) => `${name}=${value.toPrecision(4)}`);
  const remarks = [
    round.disturbed ? `disturbed: ${Math.round(round.reading.others * 100)} % by others` : '',
    round.bottleneck.length > 0 ? `held up by ${round.bottleneck.join(', ')}` : '',
    round.wrong.length > 0 ? `WRONG: ${round.wrong.join(', ')}` : '',
  ].filter((remark) => remark !== '');
  return `${nameOf(row)} round ${round.number}: ${figures.join(' ')}${remarks.length > 0 ? ` (${remarks.join('; ')})` : ''}`;
}
