import type { Terminal } from '../../../proxy/cli/terminal.js';

export interface FakeTerminal extends Terminal {
  /** Everything written so far, line ends included. */
  stdout: string;
  stderr: string;
  /** How often somebody slept. */
  slept: number;
}

/** A terminal that remembers; its clock moves only by sleeping. */
export function fakeTerminal(cwd = '/', env: Terminal['env'] = {}): FakeTerminal {
  let now = 1_700_000_100_000;
  const terminal: FakeTerminal = {
    stdout: '', stderr: '', slept: 0, columns: undefined, cwd, env,
    out: (text) => { terminal.stdout += `${text}\n`; },
    err: (text) => { terminal.stderr += `${text}\n`; },
    now: () => now,
    sleep: async (ms) => {
      now += ms;
      terminal.slept += 1;
    },
  };
  return terminal;
}
