/**
 * May this principal call this method, with these parameters? Ownership is not asked here: the
 * directory of sessions knows that. The order of the questions:
 *
 *   method():  route refuse? → a rule of the method that is closed for the caller?
 *   params():  a key given twice? → an uncatalogued key? → each parameter that a rule looks at
 */
import { isRefusal, refuse, type Refusal } from '../protocol/errors.js';
import type { MethodSpec, RuleName } from '../protocol/method.js';
import { printable, type Ask, type Check, type Fields } from './check.js';
import { ownerDirectory, within } from './directories.js';
import { checksOf, impliedBy } from './parameters.js';
import { RULES, type Profile } from './rules.js';

export interface GuardPolicy {
  readonly profile: Profile;
  /** Rules opened per role; '*' is every role. */
  readonly open: Readonly<Record<string, readonly RuleName[]>>;
  /** Absolute root; a tenant's directories must lie in `<root>/<user>`. */
  readonly workingDirectory?: string;
}

/** Who has a server of his own; asked anew at each call. */
export interface OwnServers {
  /** The user's sessions are on a server that nobody else uses. */
  ownServer(user: string): boolean;
  /** That server runs as a uid of its own. */
  confined(user: string): boolean;
}

const SHARED: OwnServers = { ownServer: () => false, confined: () => false };

export interface Caller {
  readonly user: string;
  readonly roles: ReadonlySet<string>;
}

/** Why a provider is refused, and what to do instead. */
const ALTERNATIVES: readonly (readonly [prefix: string, alternative: string])[] = [
  ['sessionFs.', 'A CLI server has one session file system for all users\' sessions. Leave `sessionFs` out of the SDK\'s options: sessions are kept on the server\'s own disk (sessions.state: server)'],
  ['llmInference.', 'A CLI server has one inference provider for all users\' sessions. Name a `provider` in session.create instead'],
  ['registerExtensionLaunchProvider', 'A CLI server has one extension launch provider for all users\' sessions. There is no alternative'],
];

/** Nothing is to be sent instead. */
const AS_IT_IS: { readonly replace?: undefined } = Object.freeze({});

export class Guard {
  private readonly openFor: ReadonlyMap<string, ReadonlySet<RuleName>>;

  constructor(private readonly policy: GuardPolicy, private readonly servers: OwnServers = SHARED) {
    this.openFor = new Map(Object.entries(policy.open).map(([role, rules]) => [role, new Set(rules)]));
  }

  /**
   * The method as such: by the catalogue and its rules.
   * @param owner whose session it is, or would be; the caller himself where it is about none
   */
  method(caller: Caller, owner: string, spec: MethodSpec): Refusal | undefined {
    if (spec.route === 'refuse') return this.never(spec);
    for (const rule of spec.rules) {
      if (this.closed(caller, owner, rule)) {
        return refuse('SKYPORT_METHOD_REFUSED', `Method ${spec.name} is refused (rule ${rule})`, rule);
      }
    }
    return undefined;
  }

  /**
   * The parameters of a call that `method` let pass.
   * @param owner whose session it is: directories are the owner's, also when a service principal calls
   * @param keys the top-level keys of the parameters as they were scanned, repetitions included
   * @param params parses them; only called when a rule needs a value
   * @returns `replace`: the whole parameters to send instead of the client's, where a value was judged by
   *   what is inside of it (a second parser must not find something else there), a path was made absolute, or a
   *   default of the server had to be overruled; so a session.create without a directory gets `<root>/<owner>`,
   *   which the caller has to make
   */
  params(
    caller: Caller,
    owner: string,
    spec: MethodSpec,
    keys: readonly string[],
    params: () => Record<string, unknown>,
  ): Refusal | { replace?: Record<string, unknown> } {
    // Two parsers may take different ones of two equal keys.
    if (keys.length > 1 && new Set(keys).size !== keys.length) {
      return refuse('SKYPORT_INVALID_PARAMS', `A parameter of ${spec.name} is given twice`);
    }
    const unknown = uncatalogued(keys, spec);
    if (unknown !== undefined && this.closed(caller, owner, 'uncatalogued')) {
      const message = `Parameter ${printable(unknown)} of ${spec.name} is not known (rule uncatalogued)`;
      return refuse('SKYPORT_PARAMETER_REFUSED', message, 'uncatalogued');
    }
    const checks = checksOf(spec.name);
    return checks === undefined ? AS_IT_IS : this.judge(caller, owner, spec, keys, params, checks);
  }

  /** The parameters that a rule looks at, one by one. */
  private judge(
    caller: Caller, owner: string, spec: MethodSpec, keys: readonly string[], params: () => Record<string, unknown>,
    checks: Readonly<Record<string, Check>>,
  ): Refusal | { replace?: Record<string, unknown> } {
    const home = this.home(owner);
    let parsed: Fields | undefined;
    const values = (): Fields => (parsed ??= params());
    const base = () => (home === undefined ? undefined : baseOf(home, values()));
    const ask: Ask = { method: spec.name, closed: (rule) => this.closed(caller, owner, rule), home, base };
    const replace: Fields = {};
    for (const key of keys) {
      const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
      if (check === undefined || !check.rules.some(ask.closed)) continue;
      const verdict = check.judge(values()[key], ask, key);
      if (isRefusal(verdict)) return verdict;
      if (verdict !== undefined) replace[key] = verdict.value;
    }
    for (const [key, value] of Object.entries(impliedBy(spec, ask))) {
      if (!keys.includes(key) || values()[key] === null) replace[key] = value;
    }
    return Object.keys(replace).length > 0 ? { replace: { ...values(), ...replace } } : AS_IT_IS;
  }

  /** `<root>/<owner>` under profile tenant with a root; undefined otherwise. */
  home(owner: string): string | undefined {
    const { profile, workingDirectory } = this.policy;
    return profile === 'tenant' && workingDirectory !== undefined ? ownerDirectory(workingDirectory, owner) : undefined;
  }

  private closed(caller: Caller, owner: string, rule: RuleName): boolean {
    const { profiles, openable, own } = RULES[rule];
    if (!profiles[this.policy.profile]) return false;
    if (!openable) return true;
    if (this.openFor.get('*')?.has(rule) === true) return false;
    for (const role of caller.roles) if (this.openFor.get(role)?.has(rule) === true) return false;
    return own.effect === 'holds' || !this.isOwn(caller, owner) || (own.effect === 'confined' && !this.servers.confined(owner));
  }

  /** Nobody else's session is on the server that the call goes to. A service may have the name of a user. */
  private isOwn({ user, roles }: Caller, owner: string): boolean {
    return user === owner && !roles.has('service') && this.servers.ownServer(owner);
  }

  private never(spec: MethodSpec): Refusal {
    const [rule] = spec.rules;
    if (rule !== 'providers') return refuse('SKYPORT_METHOD_REFUSED', `Method ${spec.name} is refused (rule ${rule ?? 'none'})`, rule);
    const alternative = ALTERNATIVES.find(([prefix]) => spec.name.startsWith(prefix))?.[1] ?? '';
    return refuse('SKYPORT_PROVIDER_REFUSED', `Method ${spec.name} is refused (rule providers). ${alternative}.`, rule);
  }
}

/** The first key that the catalogue does not have. */
function uncatalogued(keys: readonly string[], spec: MethodSpec): string | undefined {
  for (let i = 0; i < keys.length; i++) if (!spec.params.has(keys[i]!)) return keys[i];
  return undefined;
}

/** What relative paths of a call start from: its own working directory, where that is the owner's. */
function baseOf(home: string, params: Fields): string {
  const given = params['workingDirectory'];
  return (typeof given === 'string' ? within(home, home, given) : undefined) ?? home;
}
