/** What `limits` means to a caller with these roles: of several roles, the most generous value. */
import { UNLIMITED, type Allowance, type Together } from '../sessions/turn-limits.js';

/** As in the configuration; what is left out is undefined. */
export interface TurnLimits {
  readonly active?: number;
  readonly per_minute?: number;
  readonly queued?: number;
  readonly wait?: number;
}

export interface RoleLimits {
  readonly sessions?: number;
  readonly turns?: TurnLimits;
  readonly all?: { readonly sessions?: number; readonly active?: number; readonly per_minute?: number };
}

/** `limits` of the configuration, as far as it is about turns and sessions. */
export interface LimitRules {
  readonly turns?: TurnLimits;
  readonly roles?: Readonly<Record<string, RoleLimits>>;
}

type Roles = ReadonlySet<string>;

/** Of one configuration; a reload makes another one. */
export class Allowances {
  private readonly known = new WeakMap<Roles, Allowance>();

  constructor(private readonly rules: LimitRules = {}) {}

  turns(roles: Roles): Allowance {
    let allowance = this.known.get(roles);
    if (!allowance) this.known.set(roles, (allowance = this.turnsOf(roles)));
    return allowance;
  }

  /** How many sessions one user may own, if his role says so. */
  sessions(roles: Roles): number | undefined {
    return most(this.of(roles).map(([, { sessions }]) => sessions));
  }

  /** How many all users with his role may own, if there is a limit. */
  allSessions(roles: Roles): Together | undefined {
    return this.together(roles, 'sessions');
  }

  private turnsOf(roles: Roles): Allowance {
    const own = this.of(roles).map(([, { turns }]) => turns ?? {});
    const value = (key: keyof TurnLimits): number | undefined => most(own.map((turns) => turns[key])) ?? this.rules.turns?.[key];
    const [active, perMinute] = [value('active'), value('per_minute')];
    const [allActive, allPerMinute] = [this.together(roles, 'active'), this.together(roles, 'per_minute')];
    if (active === undefined && perMinute === undefined && !allActive && !allPerMinute) return UNLIMITED;
    return {
      active: active ?? UNLIMITED.active,
      perMinute: perMinute ?? UNLIMITED.perMinute,
      queued: value('queued') ?? UNLIMITED.queued,
      wait: value('wait') ?? UNLIMITED.wait,
      allActive, allPerMinute,
    };
  }

  private together(roles: Roles, key: 'sessions' | 'active' | 'per_minute'): Together | undefined {
    const limits = this.of(roles).flatMap(([role, { all }]) => (all?.[key] === undefined ? [] : [{ role, limit: all[key] }]));
    return limits.sort((a, b) => b.limit - a.limit)[0];
  }

  private of(roles: Roles): [string, RoleLimits][] {
    return Object.entries(this.rules.roles ?? {}).filter(([role]) => roles.has(role));
  }
}

function most(values: readonly (number | undefined)[]): number | undefined {
  const given = values.filter((value) => value !== undefined);
  return given.length === 0 ? undefined : Math.max(...given);
}
