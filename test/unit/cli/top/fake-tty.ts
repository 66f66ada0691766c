import type { Tty, TtyListeners } from '../../../../proxy/cli/top/tty.js';
import { EmulatedScreen } from '../../../support/screen.js';

/** A terminal that shows, in an emulated screen, what is drawn; the test types, resizes and ends. */
export class FakeTty implements Tty {
  readonly screen: EmulatedScreen;
  readonly written: string[] = [];
  colour = false;
  isRaw = false;
  suspended = 0;
  listeners: TtyListeners | undefined;

  constructor(public rows = 24, public columns = 100) {
    this.screen = new EmulatedScreen(rows, columns);
  }

  write(text: string): void {
    this.written.push(text);
    this.screen.write(text);
  }

  raw(on: boolean): void {
    this.isRaw = on;
  }

  suspend(): void {
    this.suspended++;
  }

  listen(listeners: TtyListeners): () => void {
    this.listeners = listeners;
    return () => { this.listeners = undefined; };
  }

  resize(rows: number, columns: number): void {
    [this.rows, this.columns, this.screen.rows, this.screen.columns] = [rows, columns, rows, columns];
    this.listeners!.resized();
  }

  /** As it was before anything was drawn. */
  get isRestored(): boolean {
    const { alternate, cursorVisible, wrapping } = this.screen;
    return !alternate && cursorVisible && wrapping && !this.isRaw;
  }
}
