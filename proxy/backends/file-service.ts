/** Skyport as the session file system of one backend, over the lives of its server. */
import type { Frame } from '../wire/frame.js';
import type { Peek } from '../wire/peek.js';
import type { Link } from './link.js';
import { becomeFileSystem, serve, type Served, type SessionFileSystem, type Unusable } from './provider.js';
import { ServerShell } from './shell.js';
import type { WarmUpModel } from './warm-up-model.js';
import { WarmUp } from './warm-up.js';

export class FileService {
  /** The server's life that is served now. */
  private served: Served | undefined;
  private shell: ServerShell | undefined;
  /** The one that its server has had, or is having. */
  private warming: WarmUp | undefined;
  private incarnations = 0;

  constructor(
    private readonly name: string,
    private readonly backend: number,
    private readonly files: SessionFileSystem,
  ) {}

  /** Which life of its server Skyport is the file system of, from 1; undefined when of none. */
  get incarnation(): number | undefined {
    return this.served?.incarnation;
  }

  /**
   * Becomes the file system of the server behind a link.
   * @param directory where its sessions work that name none
   * @param timeout milliseconds
   */
  async begin(link: Link, directory: string | undefined, timeout: number): Promise<Unusable | undefined> {
    const unusable = await becomeFileSystem(link, this.files, directory, timeout);
    if (unusable) return unusable;
    this.served = Object.freeze({ name: this.name, backend: this.backend, incarnation: ++this.incarnations });
    this.shell = new ServerShell(link);
    return undefined;
  }

  /**
   * Has the server do beforehand what its first turn would wait for; once in a life.
   * @param link the control link
   * @param model for one turn; left out: no turn
   * @returns why it is not warm; undefined when it is
   */
  warmUp(link: Link, model?: WarmUpModel): Promise<string | undefined> {
    this.warming ??= new WarmUp(this.files);
    return this.warming.run(link, model);
  }

  /** The control link is gone, and with it what was served. */
  end(): void {
    this.served = undefined;
    this.shell = undefined;
    this.warming?.stop();
    this.warming = undefined;
  }

  /** @returns whether the notification was for a command that Skyport has run on the server's machine */
  hears(link: Link, method: string | undefined, frame: Frame): boolean {
    return this.shell !== undefined && (method === 'shell.output' || method === 'shell.exit') && this.shell.hear(link, method, frame);
  }

  /** @returns false for a request that nobody answers here */
  answers(link: Link, frame: Frame, peeked: Peek): boolean {
    if (!this.served || !this.shell) return false;
    serve(link, this.warming ?? this.files, this.served, this.shell, frame, peeked);
    return true;
  }
}
