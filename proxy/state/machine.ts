/**
 * Files on the machine of a CLI server. A server that was given a session file system asks it for every
 * file that the agent's tools `view`, `create` and `edit` name, those in the working directory included
 * (measured, runtime 1.0.85). They are the server's, so the server's own shell is told to fetch and to
 * write them: as its user, in its container, with nothing of Skyport's disk in reach.
 *
 * What is sent is a POSIX script; how it ends says what became of it. Contents are fetched in base64,
 * because what a command prints is cut anywhere, also within a character.
 */
import { FileFault, type FileEntry, type FileFaultCode, type FileStat } from '../store/session-files.js';

export interface Shell {
  /** Runs a command on the server that has the session; undefined when that cannot be. */
  run(sessionId: string, command: string): Promise<{ readonly exitCode: number; readonly output: string } | undefined>;
}

/** Bytes of a file that are fetched at most. */
const MAX_FILE = 16 * 1_048_576;

/** Bytes of a command's text: Linux takes 128 KiB for one argument. */
const MAX_TEXT = 100_000;

/** How scripts end that find what they were not told to expect. */
const ENDS: Readonly<Record<number, readonly [FileFaultCode, string]>> = {
  44: ['ENOENT', 'no such file or directory'],
  45: ['EISDIR', 'is a directory'],
  46: ['ENOTDIR', 'is not a directory'],
  47: ['EINVAL', `is larger than ${MAX_FILE} bytes`],
};

export class Machine {
  constructor(
    private readonly shell: Shell,
    private readonly sessionId: string,
  ) {}

  async read(path: string): Promise<string> {
    const script = `[ -e "$p" ] || exit 44; [ ! -d "$p" ] || exit 45; [ "$(wc -c < "$p")" -le ${MAX_FILE} ] || exit 47; base64 < "$p"`;
    return decoded(await this.run(script, path));
  }

  async exists(path: string): Promise<boolean> {
    return (await this.run('if [ -e "$p" ]; then echo y; fi', path)).startsWith('y');
  }

  async stat(path: string): Promise<FileStat> {
    const script = '[ -e "$p" ] || exit 44; if [ -d "$p" ]; then echo d; elif [ -f "$p" ]; then echo f; else echo o; fi; '
      + `stat -L -c '%s %Y' "$p" 2>/dev/null || stat -L -f '%z %m' "$p"`;
    const [kind, size, seconds] = (await this.run(script, path)).trim().split(/\s+/);
    const time = Number(seconds ?? 0) * 1000;
    const isDirectory = kind === 'd';
    return { isFile: kind === 'f', isDirectory, size: isDirectory ? 0 : Number(size ?? 0), mtime: time, birthtime: time };
  }

  async list(path: string): Promise<FileEntry[]> {
    const script = '[ -e "$p" ] || exit 44; [ -d "$p" ] || exit 46; ls -A1p "$p" | base64';
    const names = decoded(await this.run(script, path)).split('\n').filter((name) => name !== '');
    return names.map((name) => (name.endsWith('/') ? { name: name.slice(0, -1), type: 'directory' } : { name, type: 'file' }));
  }

  /** Replaces the content, or adds to it. Contents of more than some 100 KB are written in several steps. */
  async write(path: string, content: string, add: boolean): Promise<void> {
    let first = true;
    for (const piece of pieces(content)) {
      const how = add || !first ? '>>' : '>';
      await this.run(`[ ! -d "$p" ] || exit 45; printf %s ${quoted(piece)} ${how} "$p"`, path);
      first = false;
    }
  }

  async mkdir(path: string, recursive: boolean): Promise<void> {
    await this.run(`mkdir ${recursive ? '-p ' : ''}"$p"`, path);
  }

  async remove(path: string, { recursive, force }: { readonly recursive: boolean; readonly force: boolean }): Promise<void> {
    const missing = force ? 'exit 0' : 'exit 44';
    await this.run(`[ -e "$p" ] || [ -L "$p" ] || ${missing}; ${recursive ? '' : '[ ! -d "$p" ] || exit 45; '}rm -${recursive ? 'r' : ''}f "$p"`, path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.run(`[ -e "$p" ] || exit 44; mv -f "$p" ${quoted(checked(to))}`, from);
  }

  /** @returns what the script printed */
  private async run(script: string, path: string): Promise<string> {
    const outcome = await this.shell.run(this.sessionId, `p=${quoted(checked(path))}; ${script}`);
    if (!outcome) throw new FileFault('EINVAL', 'the server could not be asked for its file');
    if (outcome.exitCode === 0) return outcome.output;
    const [code, text] = ENDS[outcome.exitCode] ?? ['EINVAL', 'the server could not do it: no permission, or the directory is missing'];
    throw new FileFault(code, `${path}: ${text}`);
  }
}

/** A text that a shell takes as it is. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Only absolute paths: another one might be taken for an option, and is relative to who knows what. */
function checked(path: string): string {
  if (!path.startsWith('/') || path.includes('\0')) throw new FileFault('EINVAL', 'not an absolute path');
  if (path.length > 4096) throw new FileFault('EINVAL', 'a path may have 4096 characters at most');
  return path;
}

function decoded(output: string): string {
  return Buffer.from(output, 'base64').toString('utf8');
}

/** Parts of a text that fit into a command even when they are quoted, cut between characters; one at least. */
function* pieces(content: string): Generator<string> {
  if (content.includes('\0')) throw new FileFault('EINVAL', 'the content holds a NUL, which a command cannot carry');
  let piece = '';
  let bytes = 0;
  for (let at = 0; at < content.length;) {
    const character = String.fromCodePoint(content.codePointAt(at)!);
    const size = character === "'" ? 4 : Buffer.byteLength(character);
    if (bytes + size > MAX_TEXT) {
      yield piece;
      piece = '';
      bytes = 0;
    }
    piece += character;
    bytes += size;
    at += character.length;
  }
  yield piece;
}
