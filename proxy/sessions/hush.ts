/**
 * Events that come only because a session was loaded again behind its client's back. A client that
 * did not ask for it does not hear of it: each of them is kept from it once, until its next turn is over.
 */

/** Measured, runtime 1.0.85: after a resume, and at the first turn after one. All but the first are ephemeral. */
const OF_A_LOAD = [
  'session.resume', 'session.managed_settings_resolved', 'session.skills_loaded', 'session.mcp_servers_loaded',
  'session.tools_updated', 'session.custom_agents_updated', 'session.extensions_loaded', 'commands.changed', 'capabilities.changed',
];

export class Hush {
  private readonly types = new Set<string>();

  /** The session is loaded anew. @param more types of events that the client has had already */
  begin(more: Iterable<string> = []): void {
    for (const type of OF_A_LOAD) this.types.add(type);
    for (const type of more) this.types.add(type);
  }

  /** True when the client is not to see this event. */
  hides(type: string | undefined): boolean {
    if (this.types.size === 0 || type === undefined) return false;
    if (type === 'session.idle') this.types.clear();
    return this.types.delete(type);
  }
}
