/**
 * Whose a backend is: everybody's who shares, nobody's yet, or one user's. A user with a server of his own
 * (`fleet.isolation: per_user`) is on no other one, and nobody else's session is ever on his.
 */
export type Tenancy =
  | { readonly kind: 'shared' }
  | { readonly kind: 'spare' }
  | { readonly kind: 'user'; readonly user: string };

export const SHARED: Tenancy = { kind: 'shared' };

/** What decides who goes where, beside the routing policy. Asked at each placing: cheap. */
export interface Tenants {
  /** Whether the user has a server of his own. */
  isolated(user: string): boolean;
  /** `fleet.canary.share` of new sessions, 0 to 1. */
  canaryShare(): number;
}

export const EVERYBODY_SHARES: Tenants = { isolated: () => false, canaryShare: () => 0 };

/** Whether sessions of a user may be on a backend of this tenancy. */
export function serves(tenancy: Tenancy, user: string, isolated: boolean): boolean {
  return isolated ? tenancy.kind === 'user' && tenancy.user === user : tenancy.kind === 'shared';
}
