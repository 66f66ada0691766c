#!/usr/bin/env node
/** The `skyport` command. What it can do is in cli/program.ts. */
import { runCommandLine } from './cli/program.js';
import { processTerminal } from './cli/terminal.js';

// `skyport sessions | head` is not an error, nor is a terminal that was closed.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  process.exit(0);
});

process.exitCode = await runCommandLine(process.argv.slice(2), processTerminal());
