/** Session ids in parameters: finding all of them, and keeping only those of one owner. Pure. */
import { refuse, type Refusal } from '../protocol/errors.js';
import type { MethodSpec } from '../protocol/method.js';

export interface FoundId {
  /** With positions: `sessions[3].sessionId`. */
  readonly path: string;
  readonly id: string;
}

/**
 * Every session id in the parameters, `sessionId` itself included. Absent ones and null are left out.
 * @returns SKYPORT_INVALID_PARAMS where something else than a string stands in an id's place
 */
export function sessionIdsIn(spec: MethodSpec, params: Readonly<Record<string, unknown>>): FoundId[] | Refusal {
  const found: FoundId[] = [];
  const paths = spec.params.has('sessionId') ? ['sessionId', ...spec.carriers.map((c) => c.path)] : spec.carriers.map((c) => c.path);
  for (const path of paths) {
    const wrong = collect(params, path.split('.'), '', found);
    if (wrong !== undefined) return refuse('SKYPORT_INVALID_PARAMS', `Parameter ${wrong} of ${spec.name} is not a session id`);
  }
  return found;
}

/** Walks down one path; returns where it met a value of the wrong type. */
function collect(value: unknown, steps: readonly string[], at: string, found: FoundId[]): string | undefined {
  const [step, ...rest] = steps;
  if (step === undefined) {
    if (typeof value !== 'string') return at;
    found.push({ path: at, id: value });
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return at;
  const isList = step.endsWith('[]');
  const name = isList ? step.slice(0, -2) : step;
  const next: unknown = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
  if (next === undefined || next === null) return undefined;
  const here = at === '' ? name : `${at}.${name}`;
  if (!isList) return collect(next, rest, here, found);
  if (!Array.isArray(next)) return here;
  for (const [index, item] of next.entries()) {
    const wrong = collect(item, rest, `${here}[${index}]`, found);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/**
 * The parameters with only those list entries whose id passes: for methods that take lists of ids
 * (`sessionIds[]`, `sessions[].sessionId`). Entries of the wrong type do not pass.
 */
export function keepOwned(
  spec: MethodSpec,
  params: Readonly<Record<string, unknown>>,
  owns: (id: string) => boolean,
): Record<string, unknown> {
  const kept: Record<string, unknown> = { ...params };
  for (const { path } of spec.carriers) {
    const [list = '', field] = path.split(/\[\]\.?/);
    const value = kept[list];
    if (!path.includes('[]') || !Array.isArray(value)) continue;
    kept[list] = value.filter((item: unknown) => {
      const id = field === undefined || field === '' ? item : fieldOf(item, field);
      return typeof id === 'string' && owns(id);
    });
  }
  return kept;
}

function fieldOf(item: unknown, field: string): unknown {
  return typeof item === 'object' && item !== null && Object.hasOwn(item, field) ? (item as Record<string, unknown>)[field] : undefined;
}
