/**
 * The live view: asks Skyport for a snapshot again and again, draws it, and does what keys say. However
 * it ends, the terminal is as it was before.
 */
import type { Snapshot } from '../../observe/snapshot.js';
import { EXIT } from '../terminal.js';
import { drawPage } from './page.js';
import { NO_PAINT, PAINT } from './paint.js';
import { Sampler, type Sample } from './rates.js';
import { Screen } from './screen.js';
import type { Tty } from './tty.js';
import { keysIn, press, type Key, type Scroll, type View } from './view.js';

/** Milliseconds in which a process that is to be stopped is stopped. */
const STOP_TAKES = 100;

export interface LiveOptions {
  /** From one snapshot to the next, milliseconds. */
  interval: number;
  view: View;
  /** @throws when Skyport does not answer */
  ask: (signal: AbortSignal) => Promise<Snapshot>;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** @returns the exit code @throws what nobody expected, with the terminal restored */
export async function live(tty: Tty, options: LiveOptions): Promise<number> {
  const view = new LiveView(tty, options);
  try {
    return await view.run();
  } finally {
    view.close();
  }
}

class LiveView {
  private readonly screen: Screen;
  private readonly sampler = new Sampler();
  private readonly aborter = new AbortController();
  private view: View;
  private scroll: Scroll = { offset: 0, room: 0, total: 0 };
  private sample: Sample | undefined;
  private trouble: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private resuming: NodeJS.Timeout | undefined;
  private unlisten: () => void = () => undefined;
  private closed = false;

  constructor(private readonly tty: Tty, private readonly options: LiveOptions) {
    this.screen = new Screen(tty);
    this.view = options.view;
  }

  run(): Promise<number> {
    return new Promise((resolve, reject) => {
      const guarded = <A extends unknown[]>(step: (...args: A) => void) => (...args: A): void => {
        try {
          step(...args);
        } catch (error) {
          reject(error as Error);
        }
      };
      this.unlisten = this.tty.listen({
        typed: guarded((text: string) => {
          for (const key of keysIn(text)) if (this.press(key) === 'quit') return resolve(EXIT.ok);
          this.draw();
        }),
        resized: guarded(() => this.redraw()),
        continued: guarded(() => this.resume()),
        ended: resolve,
        exiting: () => this.screen.leave(),
      });
      this.screen.enter();
      this.draw();
      void this.sampling().catch(reject);
    });
  }

  /** Nothing is drawn, asked or listened for any more. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    clearTimeout(this.resuming);
    this.aborter.abort();
    this.screen.leave();
    this.unlisten();
  }

  private async sampling(): Promise<void> {
    while (!this.closed) {
      const began = this.options.now();
      await this.ask();
      if (this.closed) return;
      this.draw();
      await this.pause(Math.max(0, this.options.interval - (this.options.now() - began)));
    }
  }

  private async ask(): Promise<void> {
    try {
      this.sample = this.sampler.take(await this.options.ask(this.aborter.signal));
      this.trouble = undefined;
    } catch (error) {
      this.trouble = `Skyport does not answer, trying again: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => { this.timer = setTimeout(resolve, ms); });
  }

  private press(key: Key): 'quit' | undefined {
    if (key === 'quit') return 'quit';
    if (key === 'redraw') this.screen.forget();
    else if (key === 'suspend') this.suspend();
    else this.view = press(this.view, key, this.scroll);
    return undefined;
  }

  private suspend(): void {
    this.screen.leave();
    this.tty.suspend();
    // Where no shell could continue it, it is not stopped either.
    this.resuming = setTimeout(() => this.resume(), STOP_TAKES);
  }

  private resume(): void {
    clearTimeout(this.resuming);
    // Another program may have had the terminal meanwhile.
    this.screen.leave();
    this.screen.enter();
    this.draw();
  }

  private redraw(): void {
    this.screen.forget();
    this.draw();
  }

  private draw(): void {
    if (this.closed || !this.screen.isOpen) return;
    const { rows, columns, colour } = this.tty;
    const paint = colour ? PAINT : NO_PAINT;
    const { lines, scroll } = drawPage(this.sample, this.view, { rows, columns, paint, now: this.options.now(), trouble: this.trouble });
    this.scroll = scroll;
    this.screen.draw(lines);
  }
}
