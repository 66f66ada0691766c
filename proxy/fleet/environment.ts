/**
 * The environment of a managed server. It is not Skyport's: whatever a session's shell tool may read
 * must not hold the secrets Skyport was started with (`${VAR}` in its config, cloud credentials).
 *
 *   passed on     where programs are, language, time zone, temporary files, CA certificates
 *   not passed    HOME (its ~/.ssh, ~/.gitconfig and ~/.config are the operator's): it is the server's
 *                 own directory; proxies (their URLs may hold passwords); everything else
 *   fleet.env     goes on top and may set any of those, e.g. `HTTPS_PROXY: "${HTTPS_PROXY}"`
 *   its own user  a server with a uid of its own has no USER and LOGNAME of Skyport's, and temporary
 *                 files where no other user sees them
 *   Skyport's     COPILOT_HOME, COPILOT_CONNECTION_TOKEN and SKYPORT_MANAGED go last: what fleet.env
 *                 says of them does not count
 *
 * The runtime takes COPILOT_CONNECTION_TOKEN out of the environment of the shells its tools start
 * (measured with 1.0.85); SKYPORT_MANAGED it leaves in, which is what finds those shells again.
 */
import { join } from 'node:path';
import { MARKER_VARIABLE } from './marker.js';

/** Names that are taken from Skyport's own environment; upper case, compared without regard to case on Windows. */
const PASSED: ReadonlySet<string> = new Set([
  'PATH', 'LANG', 'LANGUAGE', 'LC_ALL', 'LC_CTYPE', 'LC_MESSAGES', 'TZ',
  'TMPDIR', 'TMP', 'TEMP', 'SHELL', 'USER', 'LOGNAME',
  'SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS',
  // Windows programs do not start without these.
  'SYSTEMROOT', 'SYSTEMDRIVE', 'WINDIR', 'COMSPEC', 'PATHEXT', 'PROGRAMFILES', 'PROGRAMDATA', 'NUMBER_OF_PROCESSORS',
]);

const OF_SKYPORTS_USER: ReadonlySet<string> = new Set(['USER', 'LOGNAME', 'TMPDIR', 'TMP', 'TEMP']);

/** Variables that Skyport sets itself; config/fleet-checks.ts refuses them in a configuration. */
export const RESERVED_VARIABLES: readonly string[] = ['COPILOT_HOME', 'COPILOT_CONNECTION_TOKEN', MARKER_VARIABLE];

export interface ServerIdentity {
  /** The server's own directory, absolute. */
  readonly directory: string;
  /** Its connection token; a secret. */
  readonly token: string;
  readonly marker: string;
  /** Whether it runs as a user of its own. */
  readonly confined?: boolean;
}

/**
 * @param inherited Skyport's own environment
 * @param configured what the configuration says, once it has been read (secrets.ts)
 */
export function serverEnvironment(
  inherited: NodeJS.ProcessEnv,
  configured: Readonly<Record<string, string>>,
  { directory, token, marker, confined = false }: ServerIdentity,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(inherited)) {
    const known = process.platform === 'win32' ? name.toUpperCase() : name;
    if (value !== undefined && PASSED.has(known) && !(confined && OF_SKYPORTS_USER.has(known))) environment[name] = value;
  }
  return {
    ...environment,
    [process.platform === 'win32' ? 'USERPROFILE' : 'HOME']: directory,
    ...(confined ? { TMPDIR: privateTemporary(directory) } : {}),
    ...configured,
    COPILOT_HOME: serverHome(directory),
    COPILOT_CONNECTION_TOKEN: token,
    [MARKER_VARIABLE]: marker,
  };
}

/** Where the server keeps its sessions; the same over restarts, so they survive. */
export function serverHome(directory: string): string {
  return join(directory, 'home');
}

/** Where a server with a uid of its own has its temporary files. */
export function privateTemporary(directory: string): string {
  return join(directory, 'tmp');
}
