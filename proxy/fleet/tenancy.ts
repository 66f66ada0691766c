/** Whose a managed server is, and what it is started with. */
import { createHash } from 'node:crypto';
import type { Confinement, ResourceLimits } from './confinement.js';
import type { FleetOptions } from './options.js';
import type { EnvironmentValue } from './secrets.js';

/** `spare`: nobody's yet; it becomes the server of a user who comes for the first time. */
export type Tenancy = { readonly kind: 'shared' } | { readonly kind: 'spare' } | { readonly kind: 'user'; readonly user: string };

/** What differs between servers, and what a change of the configuration may change. May hold secrets. */
export interface Outfit {
  /** `fleet.command`, or that of the canary. */
  readonly command?: readonly string[];
  readonly env: Readonly<Record<string, EnvironmentValue>>;
  readonly confinement?: Confinement;
  readonly canary: boolean;
  /** The same for equal outfits. May hold secrets. */
  readonly key: string;
}

/** Source of the name: PROTOCOL, what the runtime takes a token from. */
const GITHUB_TOKEN = 'COPILOT_GITHUB_TOKEN';

/**
 * What a server is to be started with by the configuration as it is now.
 * @param canary of a shared server: whether it is one of the canaries
 * @param uid what its home was given from `fleet.uids`
 */
export function outfitOf(options: FleetOptions, tenancy: Tenancy, canary = false, uid?: number): Outfit {
  const own = tenancy.kind === 'user' ? options.tenants?.users : undefined;
  const particular = tenancy.kind === 'user' && own && Object.hasOwn(own, tenancy.user) ? own[tenancy.user] : undefined;
  const isCanary = options.canary !== undefined
    && (tenancy.kind === 'user' ? isInShare(tenancy.user, options.canary.share) : canary);
  const command = isCanary ? options.canary?.command : options.command;
  const token = particular?.githubToken;
  const env = { ...options.env, ...particular?.env, ...(token === undefined ? {} : { [GITHUB_TOKEN]: token }) };
  const confinement = confinementOf({ ...options.limits, ...defined(particular?.limits) }, particular?.uid ?? uid, particular?.gid);
  return { command, env, confinement, canary: isCanary, key: JSON.stringify([command, sorted(env), sorted(confinement)]) };
}

/**
 * Whether a user's server is one of the canary's share of the users: always the same users, and with
 * a larger share those of the smaller one too.
 */
export function isInShare(user: string, share: number): boolean {
  return createHash('sha256').update(`canary\0${user}`).digest().readUInt32BE() < share * 2 ** 32;
}

function confinementOf(limits: ResourceLimits, uid?: number, gid?: number): Confinement | undefined {
  const { memory, processes, openFiles } = limits;
  if (uid === undefined && memory === undefined && processes === undefined && openFiles === undefined) return undefined;
  return { ...(uid === undefined ? {} : { uid, gid: gid ?? uid }), limits: { memory, processes, openFiles } };
}

function defined<T extends object>(value: T | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([, one]) => one !== undefined)) as Partial<T>;
}

/** As pairs in the order of their names: a file in another order is no other configuration. */
function sorted(value: object | undefined): unknown {
  return value && Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}
