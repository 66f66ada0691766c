/** `skyport restart`: starts all managed servers anew, one after the other. */
import type { RestartReport } from '../admin/actions.js';
import { adminCall } from '../admin/client.js';
import { adminSocket, type SocketOptions } from './config-file.js';
import { durationOf } from './move.js';
import { CommandError, EXIT, type Terminal } from './terminal.js';

/** Milliseconds between two looks at it. */
const LOOK_INTERVAL = 250;

export interface RestartOptions extends SocketOptions {
  /** A duration as in the config: `10m`. */
  timeout: string;
}

/** 0 when every server runs anew. It goes on when the command is interrupted. */
export async function restart(options: RestartOptions, terminal: Terminal): Promise<number> {
  const socket = adminSocket(options, terminal);
  const timeout = durationOf(options.timeout);
  const told = new Map<string, string>();
  let report = await adminCall<RestartReport>(socket, 'POST', 'restart', { timeout });
  for (;;) {
    for (const server of report.servers) {
      const text = stepText(server);
      if (text !== undefined && told.get(server.name) !== text) terminal.err(text);
      if (text !== undefined) told.set(server.name, text);
    }
    if (!report.running) break;
    await terminal.sleep(LOOK_INTERVAL);
    report = await adminCall<RestartReport>(socket, 'GET', 'restart-progress');
  }
  if (report.failure !== undefined) throw new CommandError(report.failure);
  const done = report.servers.filter(({ state }) => state === 'done').length;
  terminal.out(done === 1 ? '1 server runs anew' : `${done} servers run anew`);
  return EXIT.ok;
}

function stepText({ name, state, sessionsLoaded, sessionsStaying, turnsOpen }: RestartReport['servers'][number]): string | undefined {
  switch (state) {
    case 'waiting':
    case 'failed':
      return undefined;
    case 'draining': {
      const staying = sessionsStaying > 0 ? `, ${sessionsStaying} at work in the background` : '';
      return `${name} is draining: ${count(sessionsLoaded, 'loaded session')}, ${count(turnsOpen, 'open turn')}${staying}`;
    }
    case 'done':
      return `${name} is up again`;
    case 'skipped':
      return `${name} was skipped: it leaves the fleet`;
    default:
      return `${name} is ${state}`;
  }
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
