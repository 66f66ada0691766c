/**
 * What the configuration says of a server's environment, read anew at each start: a text as it is, the
 * text of a file, or what a command prints. A failure names the variable and what went wrong, never
 * the value, a command's arguments or anything that it printed.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { signalGroup } from './processes.js';

/** A text, or where it is read from. */
export type EnvironmentValue = string | { readonly file: string } | { readonly command: readonly string[] };

export type EnvironmentReading = { readonly values: Readonly<Record<string, string>> } | { readonly failure: string };

export interface ReadingOptions {
  /** What a command is started with on top of Skyport's own environment, so that it is found when Skyport dies. */
  readonly mark?: Readonly<Record<string, string>>;
  /** Ends the reading early; it gives a failure then. */
  readonly signal?: AbortSignal;
  /** Of each command, ms. */
  readonly timeout?: number;
}

/** Bytes; the kernel takes no more than 128 KiB for one variable. */
const LARGEST = 64 * 1024;
const COMMAND_TIMEOUT = 10_000;
const NONBLOCKING = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Reads all of them at the same time. Never rejects. */
export async function readEnvironment(
  configured: Readonly<Record<string, EnvironmentValue>>, options: ReadingOptions = {},
): Promise<EnvironmentReading> {
  const read = await Promise.all(Object.entries(configured).map(async ([name, value]) => ({ name, ...await readValue(value, options) })));
  const values: Record<string, string> = {};
  for (const one of read) {
    const failure = 'failure' in one ? one.failure
      // Node would say so too, and show the value.
      : one.text.includes('\0') ? 'holds a zero byte' : undefined;
    if (failure !== undefined) return { failure: `${one.name}: ${failure}` };
    if ('text' in one) values[one.name] = one.text;
  }
  return { values };
}

type Reading = { readonly text: string } | { readonly failure: string };

async function readValue(value: EnvironmentValue, options: ReadingOptions): Promise<Reading> {
  if (typeof value === 'string') return { text: value };
  if ('file' in value) return await readText(value.file);
  try {
    return await outputOf(value.command, options);
  } catch (error) {
    return { failure: `its command cannot be run: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}` };
  }
}

async function readText(file: string): Promise<Reading> {
  try {
    // A pipe that nobody writes to must not hold up the start: it is opened without waiting, and refused.
    const handle = await open(file, NONBLOCKING);
    try {
      if (!(await handle.stat()).isFile()) return { failure: `${file} is not a file` };
      const buffer = Buffer.alloc(LARGEST + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
        if (bytesRead === 0) break;
        length += bytesRead;
        if (length > LARGEST) return { failure: `${file} has more than ${LARGEST} bytes` };
      }
      return textOf(buffer.subarray(0, length), file);
    } finally {
      await handle.close();
    }
  } catch (error) {
    return { failure: `${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}` };
  }
}

function outputOf(command: readonly string[], { mark, signal, timeout = COMMAND_TIMEOUT }: ReadingOptions): Promise<Reading> {
  if (signal?.aborted) return Promise.resolve(CANCELLED);
  return new Promise((resolve) => {
    const child = spawn(command[0]!, command.slice(1), {
      env: { ...process.env, ...mark }, stdio: ['ignore', 'pipe', 'ignore'], detached: true, windowsHide: true,
    });
    // Without descriptors there is a child that has no streams, and an error later.
    const stdout = child.stdout as Readable | undefined;
    const chunks: Buffer[] = [];
    let length = 0;
    let failure: string | undefined;
    const end = (why?: string): void => {
      failure ??= why;
      if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
      // Whoever escaped with the pipe in hand must not keep the start waiting.
      if (why !== undefined) stdout?.destroy();
    };
    const deadline = setTimeout(() => end(`its command took longer than ${timeout} ms`), timeout);
    const cancel = (): void => end(CANCELLED.failure);
    signal?.addEventListener('abort', cancel, { once: true });
    stdout?.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > LARGEST) end(`its command prints more than ${LARGEST} bytes`);
      else chunks.push(chunk);
    });
    stdout?.on('error', () => {});
    child.on('error', (error: NodeJS.ErrnoException) => {
      failure ??= `its command cannot be run: ${error.code ?? 'unknown error'}`;
      if (stdout === undefined) done();
    });
    child.on('exit', (code, killedBy) => {
      // What it has left in its group goes too; what it has printed is still in the pipe.
      end();
      if (code !== 0) failure ??= `its command ${killedBy === null ? `ended with code ${code}` : `was killed by ${killedBy}`}`;
    });
    const done = (): void => {
      clearTimeout(deadline);
      signal?.removeEventListener('abort', cancel);
      resolve(failure === undefined ? textOf(Buffer.concat(chunks), 'what its command prints') : { failure });
    };
    child.on('close', done);
  });
}

const CANCELLED = { failure: 'the start was cancelled' };

/** Without its last newline. */
function textOf(bytes: Buffer, what: string): Reading {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { failure: `${what} is not UTF-8` };
  }
  text = text.replace(/\r?\n$/, '');
  return text === '' ? { failure: `${what} is empty` } : { text };
}
