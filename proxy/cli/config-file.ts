/** Which config a command means, and how its mistakes are told. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { controlSocket, loadConfig } from '../../config/load.js';
import { formatProblem, hasErrors, type Problem } from '../../config/problem.js';
import type { SkyportConfig } from '../../config/schema.js';
import { OPENABLE_RULES } from '../guard/rules.js';
import { loadTokens } from '../identity/tokens-file.js';
import { packageRoot } from '../package.js';
import { CommandError, EXIT, type Terminal } from './terminal.js';

/**
 * The file that is meant: the one given, else `skyport.yaml` in the current directory, else the default
 * `config/skyport.yaml` that comes with Skyport.
 */
export function configPath(given: string | undefined, cwd: string): string {
  if (given !== undefined) return resolve(cwd, given);
  const local = join(cwd, 'skyport.yaml');
  return existsSync(local) ? local : join(packageRoot(), 'config', 'skyport.yaml');
}

export interface LoadedConfig {
  file: string;
  /** Absent when a problem is an error. */
  config: SkyportConfig | undefined;
  problems: readonly Problem[];
}

export function readConfig(given: string | undefined, terminal: Terminal): LoadedConfig {
  const file = configPath(given, terminal.cwd);
  const { config, problems } = loadConfig(file, terminal.env, { rules: OPENABLE_RULES });
  return { file, config: hasErrors(problems) ? undefined : config, problems };
}

/** The same with the tokens file that the config names: all that must be right before Skyport can start. */
export function readWholeConfig(given: string | undefined, terminal: Terminal): LoadedConfig {
  const loaded = readConfig(given, terminal);
  const tokensFile = loaded.config?.identity.tokens_file;
  if (tokensFile === undefined) return loaded;
  const { problems } = loadTokens(tokensFile);
  return {
    file: loaded.file,
    config: hasErrors(problems) ? undefined : loaded.config,
    problems: [...loaded.problems, ...problems],
  };
}

export interface SocketOptions {
  config?: string;
  socket?: string;
}

/**
 * Where the Skyport that is meant listens for commands: `--socket`, or what its config says. A running
 * one is in force with an older config while the file has mistakes, and only its own environment may have
 * the variables of the file, so what has nothing to do with the socket may be wrong.
 * @throws CommandError when the config does not tell
 */
export function adminSocket({ config: given, socket }: SocketOptions, terminal: Terminal): string {
  if (socket !== undefined) return resolve(terminal.cwd, socket);
  const { file, config, problems } = readConfig(given, terminal);
  const told = config?.admin.socket ?? controlSocket(file, terminal.env);
  if (told !== undefined) return told;
  const texts = problems.filter(({ severity }) => severity === 'error').map(formatProblem);
  throw new CommandError([...texts, 'The config tells where the running Skyport is reached; --socket PATH does without it.'].join('\n'), EXIT.usage);
}
