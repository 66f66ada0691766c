/** `skyport check`: every mistake of a config and its tokens file, or what it amounts to. */
import { formatProblem } from '../../config/problem.js';
import type { SkyportConfig } from '../../config/schema.js';
import { readWholeConfig } from './config-file.js';
import { EXIT, type Terminal } from './terminal.js';

export interface CheckOptions {
  config?: string;
  json?: boolean;
}

/** Warnings are printed and do not fail. */
export function check({ config: given, json }: CheckOptions, terminal: Terminal): number {
  const { file, config, problems } = readWholeConfig(given, terminal);
  const code = config === undefined ? EXIT.failed : EXIT.ok;
  if (json) {
    const summary = config === undefined ? undefined : summarize(config);
    terminal.out(JSON.stringify({ ok: config !== undefined, file, problems, summary }, null, 2));
    return code;
  }
  for (const problem of problems) terminal.out(formatProblem(problem));
  if (config === undefined) {
    const errors = problems.filter(({ severity }) => severity === 'error').length;
    terminal.err(`${errors} ${errors === 1 ? 'error' : 'errors'} in ${file}`);
    return code;
  }
  const { listeners, backends, fleet } = summarize(config);
  terminal.out([
    `OK         ${file}`,
    `listeners  ${listeners.join(', ')}`,
    `backends   ${backends.length === 0 ? 'none' : backends.join(', ')}`,
    `fleet      ${fleet === 0 ? 'no managed servers' : `${fleet} managed ${fleet === 1 ? 'server' : 'servers'}`}`,
  ].join('\n'));
  return code;
}

interface Summary {
  listeners: string[];
  backends: string[];
  /** How many servers Skyport starts itself. */
  fleet: number;
}

function summarize({ listen, backends, fleet }: SkyportConfig): Summary {
  return {
    listeners: listen.map((entry) => (entry.tcp === undefined
      ? `http ${entry.http}`
      : `tcp ${entry.tcp}${entry.as === undefined ? '' : ` as ${entry.as}`}`)),
    backends: backends.map(({ name, url, weight, backup }) =>
      `${name} ${url}${weight === 1 ? '' : ` weight ${weight}`}${backup ? ' backup' : ''}`),
    fleet: fleet.count,
  };
}
