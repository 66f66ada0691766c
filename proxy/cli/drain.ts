/** `skyport drain` and `undrain`: taking a backend out of service without breaking a turn: its sessions move. */
import type { DrainReport } from '../admin/actions.js';
import { adminCall } from '../admin/client.js';
import type { Snapshot } from '../observe/snapshot.js';
import { adminSocket, type SocketOptions } from './config-file.js';
import { durationOf } from './move.js';
import { count } from './restart.js';
import { CommandError, EXIT, type Terminal } from './terminal.js';

/** Milliseconds between two looks at a backend that is being drained. */
const LOOK_INTERVAL = 500;

export interface DrainOptions extends SocketOptions {
  wait?: boolean;
  /** A duration as in the config: `10m`. */
  timeout: string;
}

/** With `wait`, 0 means that nothing is left on the backend; it may be stopped. */
export async function drain(name: string, options: DrainOptions, terminal: Terminal): Promise<number> {
  const timeout = durationOf(options.timeout);
  const socket = adminSocket(options, terminal);
  const report = await adminCall<DrainReport>(socket, 'POST', 'drain', { name });
  if (!options.wait || report.drained) {
    terminal.out(drainText(report));
    return EXIT.ok;
  }
  terminal.err(drainText(report));
  return await waitUntilDrained(name, socket, terminal.now() + timeout, terminal);
}

async function waitUntilDrained(name: string, socket: string, deadline: number, terminal: Terminal): Promise<number> {
  let told = '';
  for (;;) {
    const { backends } = await adminCall<Snapshot>(socket, 'GET', 'status');
    const backend = backends.find((each) => each.name === name);
    if (backend === undefined) {
      terminal.out(`${name} is not a backend any more`);
      return EXIT.ok;
    }
    if (backend.drained) {
      terminal.out(drainText(backend));
      return EXIT.ok;
    }
    if (!backend.draining) throw new CommandError(`${name} is not draining any more: somebody called undrain`);
    const text = drainText(backend);
    if (terminal.now() >= deadline) throw new CommandError(`${text}; the time is up, and it goes on draining`);
    if (text !== told) terminal.err(text);
    told = text;
    await terminal.sleep(LOOK_INTERVAL);
  }
}

export async function undrain(name: string, options: SocketOptions, terminal: Terminal): Promise<number> {
  const report = await adminCall<DrainReport>(adminSocket(options, terminal), 'POST', 'undrain', { name });
  terminal.out(`${report.name} takes new sessions again; it is ${report.state}`);
  return EXIT.ok;
}

function drainText({ name, drained, sessionsAttached, sessionsStaying = 0, turnsOpen }: DrainReport): string {
  if (drained) return `${name} is drained: it may be stopped`;
  const staying = sessionsStaying > 0 ? `, ${sessionsStaying} at work in the background` : '';
  return `${name} is draining: ${count(sessionsAttached, 'loaded session')}, ${count(turnsOpen, 'open turn')}${staying}`;
}
