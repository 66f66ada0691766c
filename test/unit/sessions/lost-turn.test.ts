import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { lostTurnEvents, missedWarning } from '../../../proxy/sessions/lost-turn.js';

/** As much of JSON Schema as the two events use. */
interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly format?: string;
  readonly anyOf?: readonly Schema[];
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly $ref?: string;
}

const platform = createRequire(import.meta.url).resolve(`@github/copilot-sdk-${process.platform}-${process.arch}/package.json`);
const { definitions } = JSON.parse(
  readFileSync(path.join(path.dirname(platform), 'schemas/session-events.schema.json'), 'utf8'),
) as { definitions: { readonly [name: string]: Schema } };

const FORMATS: { readonly [format: string]: RegExp } = {
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  'date-time': /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/,
};

/** What of a value the schema does not allow. */
function mistakes(value: unknown, schema: Schema, at = '$'): string[] {
  if (schema.$ref) return mistakes(value, definitions[schema.$ref.split('/').at(-1)!]!, at);
  if (schema.anyOf) return schema.anyOf.some((one) => mistakes(value, one, at).length === 0) ? [] : [`${at}: none of anyOf`];
  if ('const' in schema && value !== schema.const) return [`${at}: not ${String(schema.const)}`];
  const type = value === null ? 'null' : typeof value;
  if (schema.type !== undefined && type !== schema.type) return [`${at}: ${type}`];
  if (schema.format && !FORMATS[schema.format]!.test(String(value))) return [`${at}: no ${schema.format}`];
  if (type !== 'object') return [];
  const members = value as { readonly [name: string]: unknown };
  const properties = schema.properties ?? {};
  return [
    ...(schema.required ?? []).filter((name) => !(name in members)).map((name) => `${at}.${name}: missing`),
    ...Object.keys(members).flatMap((name) => {
      const known = properties[name];
      if (known) return mistakes(members[name], known, `${at}.${name}`);
      return schema.additionalProperties === false ? [`${at}.${name}: unknown`] : [];
    }),
  ];
}

interface Notification {
  readonly jsonrpc: string;
  readonly method: string;
  readonly params: { readonly sessionId: string; readonly event: { readonly id: string; readonly parentId: string | null; readonly data: object } };
}

describe('the events that tell of a lost turn', () => {
  const [error, idle] = lostTurnEvents('s1').map((text) => JSON.parse(text) as Notification);

  it('are the notifications of a session event', () => {
    for (const message of [error!, idle!]) {
      expect(message).toEqual({ jsonrpc: '2.0', method: 'session.event', params: { sessionId: 's1', event: expect.any(Object) } });
    }
  });

  it('are first a session.error, then a session.idle, as the schema of the SDK has them', () => {
    expect(mistakes(error!.params.event, definitions['ErrorEvent']!)).toEqual([]);
    expect(mistakes(idle!.params.event, definitions['IdleEvent']!)).toEqual([]);
  });

  it('are told apart from each other\'s schema by this test', () => {
    expect(mistakes(error!.params.event, definitions['IdleEvent']!)).not.toEqual([]);
    expect(mistakes({ ...idle!.params.event, timestamp: undefined }, definitions['IdleEvent']!)).not.toEqual([]);
  });

  it('follow each other, and say that the turn was cut off', () => {
    expect(idle!.params.event.parentId).toBe(error!.params.event.id);
    expect(idle!.params.event.data).toEqual({ aborted: true });
    expect(error!.params.event.data).toMatchObject({ errorCode: 'SKYPORT_BACKEND_LOST' });
  });

  it('have ids of their own each time', () => {
    const [again] = lostTurnEvents('s1').map((text) => JSON.parse(text) as Notification);
    expect(again!.params.event.id).not.toBe(error!.params.event.id);
  });
});

describe('the warning that events were missed', () => {
  const { event } = (JSON.parse(missedWarning('s1', 7)) as Notification).params;

  it('is a session.warning, as the schema of the SDK has it, and says how many', () => {
    expect(mistakes(event, definitions['WarningEvent']!)).toEqual([]);
    expect(event.data).toMatchObject({ warningType: 'events_missed', message: expect.stringMatching(/^7 events /) });
  });
});
