/**
 * The command line: what can be typed, and which function does it. A command's module is loaded when
 * it runs, so that `skyport token` needs no database and `skyport check` no network.
 */
import { Command, CommanderError } from 'commander';
import { AdminError } from '../admin/client.js';
import { SESSION_STATES } from '../observe/snapshot.js';
import type { CheckOptions } from './check.js';
import { packageVersion } from '../package.js';
import type { SocketOptions } from './config-file.js';
import type { DrainOptions } from './drain.js';
import type { MoveOptions } from './move.js';
import type { PruneOptions } from './prune.js';
import type { RestartOptions } from './restart.js';
import type { SessionsOptions } from './sessions.js';
import type { ShareOptions, UnshareOptions } from './share.js';
import type { StartOptions } from './start.js';
import type { StatusOptions } from './status.js';
import { CommandError, EXIT, type Terminal } from './terminal.js';
import type { TokenOptions } from './token.js';
import type { TopOptions } from './top.js';

const CONFIG_HELP = `
Without --config, a command uses ./skyport.yaml if there is one, else the default config that comes
with Skyport.

Exit codes: 0 done; 1 failed (no Skyport runs there, mistakes found by check, a time-out);
2 the command line is wrong, or the config that the command needs.`;

/**
 * Runs one command.
 * @param args without `node` and the script
 * @returns the exit code; nothing is thrown
 */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  let code: number = EXIT.ok;
  const program = build(terminal, (result) => { code = result; });
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof CommandError) {
      terminal.err(error.message);
      return error.exitCode;
    }
    terminal.err(error instanceof AdminError ? error.message : `skyport: ${error instanceof Error ? error.stack : String(error)}`);
    return EXIT.failed;
  }
}

function build(terminal: Terminal, done: (code: number) => void): Command {
  const program = new Command('skyport')
    .description('One port, many copilots: a session-aware reverse proxy in front of GitHub Copilot CLI servers.')
    .version(packageVersion())
    .addHelpText('after', CONFIG_HELP)
    // What follows a command is its own, though one above it has options of the same names.
    .enablePositionalOptions()
    .showHelpAfterError('(skyport --help tells what there is)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => terminal.err(text.trimEnd()),
    });
  addForeground(program, terminal, done);
  addRemote(program, terminal, done);
  return program;
}

/** Commands that need no running Skyport. */
function addForeground(program: Command, terminal: Terminal, done: (code: number) => void): void {
  program.command('start')
    .description('run Skyport; SIGTERM ends it gracefully, SIGHUP reloads its config')
    .option('--config <file>', 'the config')
    .action(async (options: StartOptions) => done(await (await import('./start.js')).start(options, terminal)));

  program.command('check')
    .description('print every mistake of a config, or what it amounts to')
    .option('--config <file>', 'the config')
    .option('--json', 'for machines')
    .action(async (options: CheckOptions) => done((await import('./check.js')).check(options, terminal)));

  program.command('token')
    .description('make a token for a user and the entry for identity.tokens_file')
    .argument('<user>')
    .option('--role <role...>', 'user (the default), service, admin, or one that guard.open names')
    .option('--session-pattern <regex>', 'for the role service: finds the owner in a session id, in a group named user')
    .option('--append <file>', 'add the entry to this tokens file')
    .action(async (user: string, options: TokenOptions) => done((await import('./token.js')).token(user, options, terminal)));

  program.command('demo')
    .description('a guided tour with three managed servers and a stand-in model; needs no account')
    .action(async () => done(await (await import('./demo.js')).demo(terminal)));
}

/** Commands that talk to a running Skyport over its control socket. */
function addRemote(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const withSocket = (command: Command, description: string) => command
    .description(description)
    .option('--config <file>', 'the config of the running Skyport, which names its control socket')
    .option('--socket <path>', 'the control socket itself');
  const remote = (name: string, description: string) => withSocket(program.command(name), description);

  remote('status', 'how the running Skyport and its backends are')
    .option('--json', 'for machines')
    .action(async (options: StatusOptions) => done(await (await import('./status.js')).status(options, terminal)));

  remote('top', 'the same, live: servers and users; h tells the keys')
    .option('--interval <duration>', 'how often', '1s')
    .option('--sort <what>', 'turns, sessions, rss, age or latency', 'turns')
    .option('--users', 'users only')
    .option('--count <number>', 'print so many plain tables, as where stdout is no terminal')
    .action(async (options: TopOptions) => done(await (await import('./top.js')).top(options, terminal)));

  const sessions = remote('sessions', 'who owns which session and where it lives')
    .enablePositionalOptions()
    .option('--user <user>', 'only of this owner')
    .option('--backend <name>', 'only on this backend')
    .option('--state <state>', `only in this state: ${SESSION_STATES.join(', ')}`)
    .option('--json', 'for machines')
    .action(async (options: SessionsOptions) => done(await (await import('./sessions.js')).sessions(options, terminal)));

  withSocket(sessions.command('prune'), 'delete sessions that nobody has used for long, with their state; never one that is attached')
    .requiredOption('--older-than <duration>', 'not used since: 30d')
    .option('--user <user>', 'only of this owner')
    .option('--dry-run', 'only show which')
    .option('--json', 'for machines')
    .action(async (options: PruneOptions) => done(await (await import('./prune.js')).prune(options, terminal)));

  remote('share', 'share a session with users or roles')
    .argument('<session>', 'its id')
    .option('--with <user...>', 'these users')
    .option('--with-role <role...>', 'users with these roles')
    .option('--as <access>', 'reader: events and history; writer: also sends and answers prompts', 'reader')
    .action(async (session: string, options: ShareOptions) => done(await (await import('./share.js')).share(session, options, terminal)));

  remote('unshare', 'take a share away; who has the session attached because of it is cut off')
    .argument('<session>', 'its id')
    .option('--with <user...>', 'from these users')
    .option('--with-role <role...>', 'from these roles')
    .action(async (session: string, options: UnshareOptions) => done(await (await import('./share.js')).unshare(session, options, terminal)));

  remote('drain', 'move the sessions of a backend elsewhere, each when it is idle, and give it no new ones')
    .argument('<name>', 'the backend')
    .option('--wait', 'return when nothing is left on it')
    .option('--timeout <duration>', 'with --wait: give up after this time', '10m')
    .action(async (name: string, options: DrainOptions) => done(await (await import('./drain.js')).drain(name, options, terminal)));

  remote('undrain', 'take a drained backend into service again')
    .argument('<name>', 'the backend')
    .action(async (name: string, options: SocketOptions) => done(await (await import('./drain.js')).undrain(name, options, terminal)));

  remote('move', 'move one session to another backend, when it is idle')
    .argument('<session>', 'its id')
    .argument('[backend]', 'where to; chosen by routing.policy if left out')
    .option('--timeout <duration>', 'give up after this time', '10m')
    .action(async (session: string, backend: string | undefined, options: MoveOptions) =>
      done(await (await import('./move.js')).move(session, backend, options, terminal)));

  remote('restart', 'start the managed servers anew, one after the other; no turn is lost')
    .option('--timeout <duration>', 'give up after this time, for all of them', '10m')
    .action(async (options: RestartOptions) => done(await (await import('./restart.js')).restart(options, terminal)));

  remote('reload', 'read the config and the tokens again; a mistake changes nothing')
    .action(async (options: SocketOptions) => done(await (await import('./reload.js')).reload(options, terminal)));
}
