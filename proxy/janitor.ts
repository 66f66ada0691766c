/**
 * Every periodic job in one place, on one timer: what has to happen by itself happens here.
 */
import { channels } from './channels.js';

export interface Job {
  readonly name: string;
  /** Milliseconds between two runs; a run that takes longer is not run twice at once. */
  readonly every: number;
  /** @param now milliseconds since the Unix epoch */
  run(now: number): void | Promise<void>;
}

/** The finest grain of any job, milliseconds. */
const TICK = 50;

export class Janitor {
  private readonly due = new Map<Job, number>();
  private readonly running = new Set<Job>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly jobs: readonly Job[]) {}

  start(): void {
    // Monotonic: a wall clock that is set back must not stop the probes.
    const now = performance.now();
    for (const job of this.jobs) this.due.set(job, now + job.every);
    this.timer = setInterval(() => this.tick(performance.now()), TICK);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tick(now: number): void {
    for (const job of this.jobs) {
      if (now < this.due.get(job)! || this.running.has(job)) continue;
      this.due.set(job, now + job.every);
      void this.run(job);
    }
  }

  private async run(job: Job): Promise<void> {
    this.running.add(job);
    try {
      await job.run(Date.now());
    } catch (error) {
      channels.bug.publish({ where: `janitor: ${job.name}`, error });
    } finally {
      this.running.delete(job);
    }
  }
}
