/** `skyport start`: runs Skyport in the foreground until a signal ends it. */
import type { EventEmitter } from 'node:events';
import { formatProblem } from '../../config/problem.js';
import type { SkyportConfig } from '../../config/schema.js';
import { channels } from '../channels.js';
import { readWholeConfig } from './config-file.js';
import { EXIT, type Terminal } from './terminal.js';

/** What `start` needs of a Skyport. */
export interface Startable {
  start(): Promise<void>;
  /** May be called while `start` is under way, and after it failed. */
  stop(): Promise<void>;
  reload(): Promise<unknown>;
}

export interface StartOptions {
  config?: string;
}

/** The process around it: where signals and uncaught errors come from, and how to leave at once. */
export interface Host {
  events: EventEmitter;
  exit(code: number): void;
}

const processHost: Host = { events: process, exit: (code) => process.exit(code) };

/** By convention 128 and the number of the signal. */
const SIGNAL_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
type EndSignal = keyof typeof SIGNAL_CODES;

async function realSkyport(config: SkyportConfig, file: string): Promise<Startable> {
  const { Skyport } = await import('../skyport.js');
  return Skyport.open(config, file);
}

/**
 *   SIGTERM, SIGINT   stop: running turns may finish until `shutdown.drain`; exit 0
 *   a second one      exit at once: 143 or 130
 *   SIGHUP            reload the config and the tokens
 *   an error that nothing caught: logged, exit 1
 */
export async function start(
  { config: given }: StartOptions, terminal: Terminal, create = realSkyport, host = processHost,
): Promise<number> {
  const { file, config, problems } = readWholeConfig(given, terminal);
  for (const problem of problems) terminal.err(formatProblem(problem));
  if (config === undefined) return EXIT.usage;
  let skyport: Startable;
  try {
    skyport = await create(config, file);
  } catch (error) {
    terminal.err(`skyport: cannot start: ${messageOf(error)}`);
    return EXIT.failed;
  }
  const code = await run(skyport, terminal, host);
  // What is still open now must not keep the process alive.
  host.exit(code);
  return code;
}

/** @returns the exit code, once Skyport has stopped */
function run(skyport: Startable, terminal: Terminal, { events, exit }: Host): Promise<number> {
  return new Promise((resolve) => {
    let ending = false;
    const listeners: Array<[string, (...args: never[]) => void]> = [];
    const on = (event: string, listener: (...args: never[]) => void) => {
      events.on(event, listener as () => void);
      listeners.push([event, listener]);
    };
    const finish = (code: number) => {
      for (const [event, listener] of listeners) events.off(event, listener as () => void);
      resolve(code);
    };
    const bug = (where: string, error: unknown) => {
      // Without a log (before it is made, after it is closed) the error must still be seen.
      if (channels.bug.active) channels.bug.publish({ where, error });
      else terminal.err(`skyport: ${where}: ${error instanceof Error ? error.stack : String(error)}`);
    };
    const stop = (code: number) => {
      ending = true;
      skyport.stop().then(() => finish(code), (error: unknown) => {
        bug('stop', error);
        finish(EXIT.failed);
      });
    };

    for (const signal of Object.keys(SIGNAL_CODES) as EndSignal[]) {
      on(signal, () => (ending ? exit(SIGNAL_CODES[signal]) : stop(EXIT.ok)));
    }
    on('SIGHUP', () => {
      if (!ending) skyport.reload().catch((error: unknown) => bug('reload', error));
    });
    for (const event of ['uncaughtException', 'unhandledRejection']) {
      on(event, (error: unknown) => {
        bug(event, error);
        exit(EXIT.failed);
      });
    }

    skyport.start().catch((error: unknown) => {
      // A stop in the middle of a start may well make the start fail.
      if (ending) return;
      terminal.err(`skyport: cannot start: ${messageOf(error)}`);
      stop(EXIT.failed);
    });
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
