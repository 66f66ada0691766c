/** The roles of a user who is not there to be asked: those of his tokens, or of the service that speaks for him. */
import { isService, ownerFor } from './principal.js';
import type { TokenTable } from './tokens-file.js';

const USER_ROLE: ReadonlySet<string> = new Set(['user']);

export class OwnerRoles {
  private readonly users = new Map<string, Set<string>>();

  constructor(private readonly tokens: TokenTable | undefined) {
    for (const { principal } of tokens?.entries ?? []) {
      if (isService(principal)) continue;
      const roles = this.users.get(principal.user);
      if (roles) for (const role of principal.roles) roles.add(role);
      else this.users.set(principal.user, new Set(principal.roles));
    }
  }

  /** @param sessionId one of his sessions */
  of(user: string, sessionId: string): ReadonlySet<string> {
    const own = this.users.get(user);
    if (own) return own;
    const service = this.tokens?.entries.find(({ principal }) => isService(principal) && ownerFor(principal, sessionId) === user);
    return service?.principal.roles ?? USER_ROLE;
  }
}
