/**
 * What the configuration means to each room: the operators' keys on one side, the rooms' own options
 * on the other.
 */
import { join } from 'node:path';
import { parseBackendUrl } from '../config/address.js';
import { idPattern } from '../config/pattern.js';
import { formatProblem, hasErrors, type Problem } from '../config/problem.js';
import type { SkyportConfig } from '../config/schema.js';
import type { BackendSettings } from './backends/backend.js';
import type { StaticBackend } from './backends/pool.js';
import type { WarmingOptions } from './backends/warming.js';
import type { FleetOptions, TenantOptions, UserOptions } from './fleet/options.js';
import type { ResourceLimits } from './fleet/confinement.js';
import { Guard } from './guard/guard.js';
import { loadTokens, type TokenTable } from './identity/tokens-file.js';
import type { Quotas } from './store/session-files.js';
import type { RuleName } from './protocol/method.js';

/**
 * @param workingDirectory the one in force: a change of it waits for a restart
 * @param rolesOf the roles of a user, who need not be there
 */
export function guardOf(config: SkyportConfig, workingDirectory: string | undefined, rolesOf: (user: string) => ReadonlySet<string>): Guard {
  return new Guard({
    profile: config.guard.profile,
    open: config.guard.open as Record<string, readonly RuleName[]>,
    workingDirectory,
  }, {
    ownServer: (user) => isolationOf(config.fleet, rolesOf(user)) === 'per_user',
    confined: (user) => hasUid(config.fleet, user),
  });
}

type FleetConfig = SkyportConfig['fleet'];

/** Whether a user with these roles has a CLI server of his own. */
export function isolationOf({ isolation, roles: rules }: Pick<FleetConfig, 'isolation' | 'roles'>, roles: ReadonlySet<string>): FleetConfig['isolation'] {
  const named = [...roles].flatMap((role) => (Object.hasOwn(rules, role) ? rules[role]!.isolation : []));
  if (named.length === 0) return isolation;
  return named.includes('per_user') ? 'per_user' : 'shared';
}

/** Whether a user's own server runs as a uid of its own. */
export function hasUid({ users, uids }: Pick<FleetConfig, 'users' | 'uids'>, user: string): boolean {
  return uids !== undefined || (Object.hasOwn(users, user) && users[user]!.uid !== undefined);
}

/** The rules of `sessions.shares`, whose patterns have been checked when the file was read. */
export function sharingRules(config: SkyportConfig) {
  return config.sessions.shares.flatMap(({ pattern: text, with: { users, roles }, as }) => {
    const verdict = idPattern(text);
    return 'pattern' in verdict ? [{ pattern: verdict.pattern, users, roles, as }] : [];
  });
}

/** The tokens file, if there is one; printable problems, of which any means that it cannot be used. */
export function readTokens(config: SkyportConfig): { table?: TokenTable; problems: string[] } {
  const file = config.identity.tokens_file;
  if (file === undefined) return { problems: [] };
  const { tokens, problems } = loadTokens(file);
  return { table: tokens, problems: errorsOf(problems) };
}

function errorsOf(problems: readonly Problem[]): string[] {
  return hasErrors(problems) ? problems.filter((problem) => problem.severity === 'error').map(formatProblem) : [];
}

/** Files that are read besides the configuration. */
export function tokenFiles(config: SkyportConfig): string[] {
  return config.identity.tokens_file === undefined ? [] : [config.identity.tokens_file];
}

function settings(config: SkyportConfig): Pick<BackendSettings, 'health' | 'links' | 'maxFrame'> {
  const { health, links } = config;
  return {
    health: { ...health, slowStart: health.slow_start },
    links: { base: links.base, max: links.max },
    maxFrame: MAX_BACKEND_FRAME,
  };
}

/** A server's answer to a history read may be larger than anything a client may send. */
const MAX_BACKEND_FRAME = 512 * 1024 * 1024;

export function managedSettings(config: SkyportConfig): BackendSettings {
  return { ...settings(config), weight: config.fleet.weight, maxSessions: config.fleet.max_sessions, backup: false };
}

/** Of the links to another Skyport. */
export function peerSettings(config: SkyportConfig): BackendSettings {
  return { ...settings(config), weight: 1, backup: true };
}

export function staticBackends(config: SkyportConfig): StaticBackend[] {
  return config.backends.map(({ name, url, token, weight, max_sessions, backup }) => ({
    ...settings(config),
    name,
    address: { ...parseBackendUrl(url)!, token },
    weight,
    maxSessions: max_sessions,
    backup,
  }));
}

export function quotasOf({ sessions: { quota } }: SkyportConfig): Quotas {
  return { session: quota.per_session, user: quota.per_user };
}

export function writerRules({ sessions }: SkyportConfig): { mode: SkyportConfig['sessions']['writers']; wait: number } {
  return { mode: sessions.writers, wait: sessions.writers_wait };
}

export function fleetOptions(config: SkyportConfig): FleetOptions {
  const { count, command, env, limits, canary, working_directory, start_timeout, stop_timeout, restart_backoff } = config.fleet;
  return {
    count,
    command,
    env,
    limits: resourceLimits(limits),
    canary,
    workingDirectory: working_directory,
    directory: join(config.store.path, 'servers'),
    startTimeout: start_timeout,
    stopTimeout: stop_timeout,
    restartBackoff: restart_backoff,
    tenants: hasTenants(config) ? tenantOptions(config) : undefined,
  };
}

export function warmingOptions({ fleet: { warm_up, env } }: SkyportConfig): WarmingOptions {
  return { enabled: warm_up, isProxied: Object.keys(env).some((variable) => /_proxy$/i.test(variable)) };
}

/** Whether some users have servers of their own. */
function hasTenants({ fleet: { isolation, roles } }: SkyportConfig): boolean {
  return isolation === 'per_user' || Object.values(roles).some((role) => role.isolation === 'per_user');
}

function tenantOptions({ fleet }: SkyportConfig): TenantOptions {
  const { max_servers, spares, idle_stop, wait, waiting, uids } = fleet;
  const users = Object.entries(fleet.users).map(([user, { env, github_token, uid, gid, limits }]): [string, UserOptions] => (
    [user, { env, githubToken: github_token, uid, gid, limits: resourceLimits(limits) }]
  ));
  return { maxServers: max_servers, spares, idleStop: idle_stop, wait, waiting, uids, users: Object.fromEntries(users) };
}

function resourceLimits({ memory, processes, open_files }: SkyportConfig['fleet']['limits']): ResourceLimits {
  return { memory, processes, openFiles: open_files };
}
