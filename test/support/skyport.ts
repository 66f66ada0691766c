/**
 * The real program under test: `node dist/proxy/main.js`, with a YAML file of its own in a temporary
 * directory. It is compiled once for all test files by build.ts.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { freePorts } from './ports.js';
import { leadsGroup, signalGroup } from './process-group.js';
import { endServersIn, removeTemporary, temporary } from './temporary.js';

const MAIN = fileURLToPath(new URL('../../dist/proxy/main.js', import.meta.url));

/** A configuration as the YAML file has it: snake_case keys. */
export type ConfigFile = { [key: string]: unknown };

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LogLine {
  readonly event?: string;
  readonly [key: string]: unknown;
}

export class SkyportUnderTest {
  /** Every JSON line of the log, over all starts. */
  readonly log: LogLine[] = [];
  /** What the program printed that is no JSON. */
  readonly prints: string[] = [];
  private child: ChildProcess | undefined;
  private readonly watchers = new Set<() => void>();

  private constructor(
    readonly directory: string,
    readonly tcpPort: number,
    readonly httpPort: number,
    private readonly environment: NodeJS.ProcessEnv,
  ) {}

  /**
   * Writes the configuration and starts the program.
   * @param config everything but `listen`, which gets free loopback ports unless it is given, and a
   *   `store` below the temporary directory unless it is given; a function gets the ports and the directory
   * @param environment added to that of the test
   * @returns when /readyz says 200
   */
  static async start(
    config: ConfigFile | ((place: SkyportUnderTest) => ConfigFile),
    environment: NodeJS.ProcessEnv = {},
  ): Promise<SkyportUnderTest> {
    const [tcpPort, httpPort] = await freePorts(2);
    const directory = temporary('skyport-');
    const skyport = new SkyportUnderTest(directory, tcpPort!, httpPort!, environment);
    try {
      const given = typeof config === 'function' ? config(skyport) : config;
      skyport.writeConfig(stringify({
        listen: [{ tcp: `127.0.0.1:${tcpPort}` }, { http: `127.0.0.1:${httpPort}` }],
        store: { driver: 'embedded', path: path.join(skyport.directory, 'data') },
        ...given,
      }));
      await skyport.run();
      return skyport;
    } catch (error) {
      await skyport.halt('SIGKILL');
      await removeTemporary(directory);
      throw error;
    }
  }

  get configFile(): string {
    return path.join(this.directory, 'skyport.yaml');
  }

  /** `host:port` for SDK clients. */
  get address(): string {
    return `127.0.0.1:${this.tcpPort}`;
  }

  /** `http://host:port` of the HTTP listener. */
  get http(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  get pid(): number {
    return this.child!.pid!;
  }

  /** Replaces the whole configuration file, right or wrong. */
  writeConfig(text: string): void {
    writeFileSync(this.configFile, text);
  }

  /** Changes the configuration file in place, as an operator's editor would. */
  editConfig(change: (config: ConfigFile) => void): void {
    const config = parse(readFileSync(this.configFile, 'utf8')) as ConfigFile;
    change(config);
    this.writeConfig(stringify(config));
  }

  /** Starts the program and waits until it is ready; it must not be running. */
  async run(): Promise<void> {
    const child = spawn(process.execPath, [MAIN, 'start', '--config', this.configFile], {
      cwd: this.directory, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...this.environment },
    });
    leadsGroup(child);
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', (line) => this.read(line));
    const ended = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`skyport ended with ${code ?? signal} before it was ready:\n${this.tail()}`)));
    });
    ended.catch(() => undefined);
    await Promise.race([ended, this.ready(ended)]);
  }

  /** Waits for a log line, past ones included. */
  async logged(predicate: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const line = this.log.find(predicate);
      if (line) return line;
      await new Promise<void>((resolve) => this.watchers.add(resolve));
    }
  }

  /** Runs another command of the program to its end, in the same directory. */
  cli(args: readonly string[]): Promise<CliResult> {
    return new Promise((resolve) => {
      execFile(process.execPath, [MAIN, ...args], { cwd: this.directory, timeout: 20_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr });
      });
    });
  }

  async restart(): Promise<void> {
    await this.halt('SIGTERM');
    await this.run();
  }

  /**
   * Sends SIGTERM, waits for the end and removes the directory.
   * @throws when a Skyport that ended as it should left servers behind; those of one that was killed are ended
   */
  async stop(): Promise<void> {
    const ended = await this.halt('SIGTERM');
    const left = await endServersIn(this.directory);
    await removeTemporary(this.directory);
    if (ended === 0 && left > 0) throw new Error(`skyport ended and left ${left} processes of its servers:\n${this.tail()}`);
  }

  /** kill -9 for the program alone, as a crash would be: its servers do not die with it. */
  async kill9(): Promise<void> {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGKILL');
    await gone;
  }

  /** Signals the program and waits for its end. @returns its exit code, or the signal that ended it */
  async halt(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
    const child = this.child;
    if (!child) return null;
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill(signal);
      const late = setTimeout(() => signalGroup(child.pid!, 'SIGKILL'), 15_000);
      await gone;
      clearTimeout(late);
    }
    signalGroup(child.pid!, 'SIGKILL');
    return child.exitCode ?? child.signalCode;
  }

  private read(line: string): void {
    const json = parseLine(line);
    if (json) this.log.push(json);
    else this.prints.push(line);
    for (const wake of this.watchers) wake();
    this.watchers.clear();
  }

  private async ready(ended: Promise<never>): Promise<void> {
    const dead = ended.then(() => false, () => true);
    for (;;) {
      const status = await fetch(`${this.http}/readyz`).then((answer) => answer.status, () => 0);
      if (status === 200) return;
      const gone = await Promise.race([dead, new Promise<false>((resolve) => setTimeout(resolve, 20, false))]);
      if (gone) return;
    }
  }

  private tail(): string {
    return [...this.prints.slice(-20), ...this.log.slice(-20).map((line) => JSON.stringify(line))].join('\n');
  }
}

function parseLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return undefined;
  }
}
