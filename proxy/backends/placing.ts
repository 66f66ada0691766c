/**
 * Who may take a new session: by the user's isolation, by what the client's SDK has been told of the protocol,
 * and for the canary's share of sessions by a hash of the session's id, so that the same id is always placed alike.
 */
import type { Ask, Candidate, Policy } from '../routing/policy.js';
import { hash53 } from '../routing/sticky.js';
import type { Backend } from './backend.js';
import { serves, type Tenants } from './tenancy.js';

export interface PlaceAsk extends Ask {
  /** The version of the protocol that the session's client was told at `connect`; left out when it is not known. */
  readonly protocolVersion?: number;
}

/**
 * @param backends all that there are, in the order of the configuration
 * @param loaded how many sessions a backend has, by name
 * @param except those that have just failed this ask
 * @param now of the monotonic clock, milliseconds
 */
export function pick(
  { backends, loaded, policy, tenants, now }: {
    readonly backends: Iterable<Backend>;
    loaded(name: string): number;
    readonly policy: Policy;
    readonly tenants: Tenants;
    readonly now: number;
  },
  ask: PlaceAsk,
  except: ReadonlySet<string> | undefined,
): string | undefined {
  const isolated = tenants.isolated(ask.user);
  const candidates: (Candidate & { readonly canary: boolean })[] = [];
  for (const backend of backends) {
    const { name, settings, health, tenancy } = backend;
    if (!serves(tenancy, ask.user, isolated)) continue;
    candidates.push({
      name,
      weight: settings.weight,
      maxSessions: settings.maxSessions,
      sessions: loaded(name),
      backup: settings.backup,
      eligible: backend.eligible && !except?.has(name) && speaks(backend, ask.protocolVersion),
      ramp: health.ramp(now),
      canary: backend.canary,
    });
  }
  if (!candidates.some(({ canary }) => canary)) return policy.pick(candidates, ask)?.name;
  const wanted = isInShare(ask.sessionId, tenants.canaryShare());
  const among = (canary: boolean): Candidate | undefined =>
    policy.pick(candidates.map((one) => (one.canary === canary ? one : { ...one, eligible: false })), ask);
  return (among(wanted) ?? among(!wanted))?.name;
}

/** Whether a client that was told this version of the protocol can work with a backend. */
export function speaks(backend: Backend, protocolVersion: number | undefined): boolean {
  return protocolVersion === undefined || backend.protocolVersion === undefined || backend.protocolVersion === protocolVersion;
}

/** Whether an id is within the first `share` of all ids. */
export function isInShare(id: string, share: number): boolean {
  return hash53(`canary\0${id}`) / 2 ** 53 < share;
}
