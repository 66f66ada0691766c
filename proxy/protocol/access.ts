/**
 * What somebody may do on one session, from most to least. Whoever has none of them does not learn
 * that the session exists.
 *
 *   owner   everything that the guard lets pass
 *   writer  takes part: sends, answers prompts, brings tools and hooks of its own
 *   reader  looks on: events and history
 */
export type Access = 'owner' | 'writer' | 'reader';

/** What a session can be shared as: its owner there is one of. */
export type SharedAccess = Exclude<Access, 'owner'>;

const RANK: Readonly<Record<Access, number>> = { reader: 1, writer: 2, owner: 3 };

/** True when `has` is `needs` or more. */
export function includes(has: Access | undefined, needs: Access): boolean {
  return has !== undefined && RANK[has] >= RANK[needs];
}

/** The stronger of two. */
export function stronger<A extends Access>(one: A | undefined, other: A | undefined): A | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return RANK[one] >= RANK[other] ? one : other;
}
