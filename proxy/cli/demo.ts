/** `skyport demo`: the guided tour, in a module of its own that is only loaded for it. */
import { existsSync } from 'node:fs';
import { EXIT, type Terminal } from './terminal.js';

interface DemoModule {
  /** Tells its story on stdout and ends by itself. @returns the exit code, 0 unless given */
  runDemo(): Promise<number | void>;
}

/** @param module the file's URL; another one in tests */
export async function demo(terminal: Terminal, module: URL = new URL('../demo.js', import.meta.url)): Promise<number> {
  if (!existsSync(module)) {
    terminal.err('The demo is not part of this installation of Skyport.');
    return EXIT.failed;
  }
  const { runDemo } = await import(module.href) as DemoModule;
  return (await runDemo()) ?? EXIT.ok;
}
