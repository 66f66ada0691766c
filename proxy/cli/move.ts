/** `skyport move`: brings one session to another backend. */
import { parseDuration } from '../../config/units.js';
import type { MoveReport } from '../admin/actions.js';
import { adminCall } from '../admin/client.js';
import { adminSocket, type SocketOptions } from './config-file.js';
import { CommandError, EXIT, type Terminal } from './terminal.js';

/** Milliseconds that Skyport waits for the session before it tells why it has to. */
const WAIT = 5_000;

export interface MoveOptions extends SocketOptions {
  /** A duration as in the config: `10m`. */
  timeout: string;
}

export async function move(session: string, backend: string | undefined, options: MoveOptions, terminal: Terminal): Promise<number> {
  const timeout = durationOf(options.timeout);
  const socket = adminSocket(options, terminal);
  const deadline = terminal.now() + timeout;
  let wait = 0;
  let told = '';
  for (;;) {
    const report = await adminCall<MoveReport>(socket, 'POST', 'move', { session, backend, wait });
    if (!('waitsFor' in report)) {
      terminal.out(report.from === report.to ? `${session} is on ${report.to} already` : `${session} has moved from ${report.from} to ${report.to}`);
      return EXIT.ok;
    }
    const left = deadline - terminal.now();
    if (left <= 0) throw new CommandError(`${session} was not moved: ${report.waitsFor}; the time is up`);
    if (report.waitsFor !== told) terminal.err(`${session} is not idle: ${report.waitsFor}`);
    told = report.waitsFor;
    wait = Math.min(left, WAIT);
  }
}

/** @throws CommandError when it is none */
export function durationOf(text: string, option = '--timeout'): number {
  const duration = parseDuration(text);
  if (duration === undefined) throw new CommandError(`${option} ${text}: write it like 30s, 10m or 1h`, EXIT.usage);
  return duration;
}
