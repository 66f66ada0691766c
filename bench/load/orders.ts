/** How the bench talks to the processes that make the load: an order, and one answer to it. */
import { fork, type ChildProcess } from 'node:child_process';
import { leadsGroup } from '../../test/support/process-group.js';

interface Order {
  readonly number: number;
  readonly name: string;
  readonly with: unknown;
}

interface Answer {
  readonly number: number;
  readonly result?: unknown;
  readonly error?: string;
}

export class Worker {
  private readonly waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  private lastNumber = 0;

  private constructor(private readonly child: ChildProcess) {
    child.on('message', (message) => {
      const { number, result, error } = message as Answer;
      const waiting = this.waiting.get(number);
      this.waiting.delete(number);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error));
    });
    child.once('exit', (code, signal) => {
      for (const { reject } of this.waiting.values()) reject(new Error(`a process of the bench ended with ${code ?? signal}`));
      this.waiting.clear();
    });
  }

  /** @param file the compiled module, which calls `obey` */
  static start(file: string): Worker {
    const child = fork(file, [], { detached: true, execArgv: [] });
    leadsGroup(child);
    return new Worker(child);
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** @throws what the order threw there, or that the process ended */
  order<Result>(name: string, details: unknown = {}): Promise<Result> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return Promise.reject(new Error('a process of the bench has ended'));
    const number = ++this.lastNumber;
    this.child.send({ number, name, with: details } satisfies Order);
    return new Promise((resolve, reject) => this.waiting.set(number, { resolve: resolve as (result: unknown) => void, reject }));
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }
}

/** Does what it is told until the bench ends. */
export function obey(orders: { readonly [name: string]: (details: never) => unknown }): void {
  process.on('message', (message) => {
    const { number, name, with: details } = message as Order;
    Promise.resolve()
      .then(() => orders[name]!(details as never))
      .then((result) => process.send!({ number, result } satisfies Answer))
      .catch((error: unknown) => process.send!({ number, error: String(error instanceof Error ? error.stack : error) } satisfies Answer));
  });
  process.on('disconnect', () => process.exit(0));
}

/** Milliseconds on a clock that all processes of the machine share. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
