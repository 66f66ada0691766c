/** `skyport reload`: has the running Skyport read its config and token files again. */
import type { ReloadReport } from '../admin/actions.js';
import { adminCall } from '../admin/client.js';
import { adminSocket, type SocketOptions } from './config-file.js';
import { EXIT, type Terminal } from './terminal.js';

/** 1 when the file has mistakes: the running config stays in force. */
export async function reload(options: SocketOptions, terminal: Terminal): Promise<number> {
  const { ok, problems, reloaded = [], needsRestart = [] } =
    await adminCall<ReloadReport>(adminSocket(options, terminal), 'POST', 'reload');
  for (const problem of problems) terminal.err(problem);
  if (!ok) {
    terminal.err('The config was not reloaded; the one before it stays in force.');
    return EXIT.failed;
  }
  terminal.out(reloaded.length === 0 ? 'Reloaded.' : `Reloaded: ${reloaded.join(', ')}`);
  if (needsRestart.length > 0) terminal.err(`Only a restart puts these in force: ${needsRestart.join(', ')}`);
  return EXIT.ok;
}
