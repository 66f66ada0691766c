/** How one parameter is judged: the small words that parameters.ts is written in. */
import { isRefusal, refuse, type Refusal } from '../protocol/errors.js';
import type { RuleName } from '../protocol/method.js';
import { within } from './directories.js';

/** What a check may ask about the call. */
export interface Ask {
  readonly method: string;
  /** True when the rule refuses this caller: by the profile, and not opened for a role of the caller. */
  closed(rule: RuleName): boolean;
  /** `<root>/<owner>`; undefined where no root is configured. */
  readonly home?: string;
  /** What relative paths start from; in `home`. */
  base(): string | undefined;
}

/** Nothing to say, a no, or a value to send instead: the very one that was judged. */
export type Verdict = undefined | Refusal | { readonly value: unknown };

export interface Check {
  /** The rules that can decide; when all are open the value is not looked at. */
  readonly rules: readonly RuleName[];
  judge(value: unknown, ask: Ask, path: string): Verdict;
}

/** The refusal of a parameter: names method, parameter and rule, never the value. */
export function refuseParameter(ask: Ask, path: string, rule: RuleName, reason = 'is refused'): Refusal {
  return refuse('SKYPORT_PARAMETER_REFUSED', `Parameter ${path} of ${ask.method} ${reason} (rule ${rule})`, rule);
}

export function invalid(ask: Ask, path: string, expected: string): Refusal {
  return refuse('SKYPORT_INVALID_PARAMS', `Parameter ${path} of ${ask.method} must be ${expected}`);
}

/** A key as it may stand in a message: a client can make it anything, of any length. */
export function printable(key: string): string {
  return /^[\w.-]{1,64}$/.test(key) ? key : JSON.stringify(key.slice(0, 64));
}

export type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True for a value that asks for nothing: absent, null, false, or empty. */
export function isIdle(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** Refuses anything but an idle value. */
export function idle(rule: RuleName): Check {
  return {
    rules: [rule],
    judge: (value, ask, path) => (isIdle(value) ? undefined : refuseParameter(ask, path, rule)),
  };
}

/** Refuses anything but false: null may stand for a default that is not false. */
export function off(rule: RuleName): Check {
  return {
    rules: [rule],
    judge: (value, ask, path) => (value === false ? undefined : refuseParameter(ask, path, rule, 'may only be false')),
  };
}

/** Refuses anything but these values or none at all. */
export function only(rule: RuleName, ...allowed: readonly unknown[]): Check {
  const hint = `may only be ${allowed.map((value) => JSON.stringify(value)).join(' or ')}`;
  return {
    rules: [rule],
    judge: (value, ask, path) =>
      value === undefined || value === null || allowed.includes(value) ? undefined : refuseParameter(ask, path, rule, hint),
  };
}

function placeFrom(start: (ask: Ask) => string | undefined): Check {
  const rule = 'working_directory';
  return {
    rules: [rule],
    judge(value, ask, path) {
      if (value === undefined || value === null) return undefined;
      if (typeof value !== 'string') return invalid(ask, path, 'a string');
      if (!ask.closed(rule)) return undefined;
      if (ask.home === undefined) return refuseParameter(ask, path, rule, 'is refused: no working directory is configured');
      const clean = within(ask.home, start(ask) ?? ask.home, value);
      if (clean === undefined) return refuseParameter(ask, path, rule, 'is outside of the user\'s directory');
      return clean === value ? undefined : { value: clean };
    },
  };
}

/** One directory or file in the owner's home, sent on absolute and normalised. */
export const place = placeFrom((ask) => ask.base());

/** A working directory: the place that the others of the call start from. */
export const workingPlace = placeFrom((ask) => ask.home);

/** A list, each item judged by `item`. */
export function list(item: Check): Check {
  return {
    rules: item.rules,
    judge(value, ask, path) {
      if (value === undefined || value === null) return undefined;
      if (!Array.isArray(value)) return invalid(ask, path, 'an array');
      const items: unknown[] = [];
      for (const [at, entry] of value.entries()) {
        const verdict = item.judge(entry, ask, `${path}[${at}]`);
        if (isRefusal(verdict)) return verdict;
        items.push(verdict === undefined ? entry : verdict.value);
      }
      return { value: items };
    },
  };
}

/**
 * An object whose fields are judged one by one.
 * @param fields checks by field name
 * @param known other fields that may pass; left out: all of them
 */
export function record(fields: Readonly<Record<string, Check>>, known?: string): Check {
  const names = known?.split(' ');
  const rules = new Set(Object.values(fields).flatMap((check) => check.rules));
  if (names !== undefined) rules.add('uncatalogued');
  return {
    rules: [...rules],
    judge(value, ask, path) {
      if (value === undefined || value === null) return undefined;
      if (!isFields(value)) return invalid(ask, path, 'an object');
      const result: Fields = { ...value };
      for (const [name, entry] of Object.entries(value)) {
        const check = Object.hasOwn(fields, name) ? fields[name] : undefined;
        if (check === undefined) {
          if (names === undefined || names.includes(name) || !ask.closed('uncatalogued')) continue;
          return refuseParameter(ask, `${path}.${printable(name)}`, 'uncatalogued', 'is not known');
        }
        if (!check.rules.some((rule) => ask.closed(rule))) continue;
        const verdict = check.judge(entry, ask, `${path}.${printable(name)}`);
        if (isRefusal(verdict)) return verdict;
        if (verdict !== undefined) result[name] = verdict.value;
      }
      return { value: result };
    },
  };
}
