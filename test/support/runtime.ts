/**
 * A real CLI server on loopback TCP, in a process group of its own (PROTOCOL: "Running the real server
 * offline"). It is the oracle of the transparency suite and the backend of every integration test.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { leadsGroup, signalGroup } from './process-group.js';
import { removeTemporary, temporary } from './temporary.js';

const PLATFORM = `${process.platform}-${process.arch}`;

/** The runtime that the installed SDK ships. */
export const RUNTIME_BINARY = path.join(
  path.dirname(createRequire(import.meta.url).resolve(`@github/copilot-sdk-${PLATFORM}/package.json`)),
  'prebuilds', PLATFORM, 'copilot-runtime',
);

export interface RuntimeOptions {
  /** Connection token; without one the server takes anybody. */
  readonly token?: string;
  /** COPILOT_HOME, kept at the end; without one a temporary directory, removed at the end. */
  readonly home?: string;
  /** TCP port; 0 or nothing picks a free one. */
  readonly port?: number;
  /** Directory the server runs in, the working directory of sessions that name none. */
  readonly cwd?: string;
}

export class Runtime {
  private constructor(
    private readonly child: ChildProcess,
    readonly pid: number,
    readonly port: number,
    readonly home: string,
    readonly token: string | undefined,
    private readonly keepHome: boolean,
  ) {}

  static async start(options: RuntimeOptions = {}): Promise<Runtime> {
    const home = options.home ?? temporary('skyport-home-');
    const child = spawn(RUNTIME_BINARY, ['--headless', '--no-auto-update', '--host', '127.0.0.1', '--port', String(options.port ?? 0)], {
      cwd: options.cwd ?? home,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment(home, options.token),
    });
    leadsGroup(child);
    const port = await listeningPort(child);
    return new Runtime(child, child.pid!, port, home, options.token, options.home !== undefined);
  }

  /** `host:port`, as SDKs and Skyport take it. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Asks the server to end, and removes its home if it was temporary. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
    if (!this.keepHome) await removeTemporary(this.home);
  }

  /** kill -9 for the whole group; the home stays for a successor. */
  async kill9(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Stops the process as a hang would: it accepts connections and answers nothing. */
  sigstop(): void {
    signalGroup(this.pid, 'SIGSTOP');
  }

  sigcont(): void {
    signalGroup(this.pid, 'SIGCONT');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => this.child.once('exit', () => resolve()));
    signalGroup(this.pid, 'SIGCONT');
    signalGroup(this.pid, signal);
    const late = setTimeout(() => signalGroup(this.pid, 'SIGKILL'), 3_000);
    await gone;
    clearTimeout(late);
    signalGroup(this.pid, 'SIGKILL');
  }
}

/** Starts a real runtime; whoever starts it stops it (a Scope does). */
export function startRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  return Runtime.start(options);
}

function environment(home: string, token: string | undefined): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, COPILOT_HOME: home, COPILOT_OFFLINE: 'true' };
  delete env.COPILOT_CONNECTION_TOKEN;
  if (token !== undefined) env.COPILOT_CONNECTION_TOKEN = token;
  return env;
}

function listeningPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let output = '';
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      const port = /listening on port (\d+)/.exec(output)?.[1];
      if (port !== undefined) resolve(Number(port));
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the runtime ended with ${code} before it listened: ${output}`)));
  });
}
