/**
 * What a process has the processor do: instructions, of its own and of the kernel for it, by `perf stat`. Other work on the
 * machine changes that less than CPU time.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds in which perf has begun to count. */
const BEGIN = 150;

export class Instructions {
  private output = '';

  private constructor(private readonly perf: ChildProcess) {
    perf.stderr!.on('data', (text: Buffer) => (this.output += text.toString()));
    // Not installed: there is no count then.
    perf.on('error', () => undefined);
  }

  static async of(pid: number): Promise<Instructions> {
    const perf = spawn('perf', ['stat', '-x,', '-e', 'instructions:u,instructions:k', '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
    const counting = new Instructions(perf);
    await sleep(BEGIN);
    return counting;
  }

  /** @returns instructions since the beginning; NaN where perf cannot count them */
  async end(): Promise<number> {
    if (this.perf.pid !== undefined && this.perf.exitCode === null) {
      this.perf.kill('SIGINT');
      await once(this.perf, 'close');
    }
    const counts = [...this.output.matchAll(/^(\d+),,instructions:[uk],/gm)].map(([, count]) => Number(count));
    return counts.length === 2 ? counts[0]! + counts[1]! : NaN;
  }
}
