import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { lookup, lookupServerRequest, METHODS } from '../../../proxy/protocol/catalogue.js';
import { generateSchema, installedSchema, parseRows, readSchema } from '../../../proxy/protocol/generate.js';
import { SCHEMA_ROWS } from '../../../proxy/protocol/schema.generated.js';
import { SERVER_REQUESTS } from '../../../proxy/protocol/server-requests.js';

const schema = readSchema(installedSchema());
const fromClients = schema.filter((m) => m.section === 'server' || m.section === 'session');
const fromServers = schema.filter((m) => m.section === 'clientSession' || m.section === 'clientGlobal');

/** On the wire but not in the schema (PROTOCOL.md). */
const LEGACY = [
  'session.create', 'session.resume', 'session.list', 'session.delete', 'session.destroy', 'session.detach', 'session.getLastId',
  'session.getMetadata', 'session.getForeground', 'session.setForeground', 'session.getMessages', 'status.get', 'auth.getStatus',
];
const UNDOCUMENTED_REQUESTS = [
  'session.event', 'session.lifecycle', 'userInput.request', 'exitPlanMode.request', 'autoModeSwitch.request',
  'systemMessage.transform', 'permission.request', 'tool.call',
];

const passedOn = fromClients.filter((m) => lookup(m.name)?.route !== 'refuse');

describe('the schema of the installed SDK', () => {
  test('is what the committed file was generated from', () => {
    const committed = readFileSync(new URL('../../../proxy/protocol/schema.generated.ts', import.meta.url), 'utf8');
    expect(committed).toBe(generateSchema(installedSchema()));
  });

  test('comes back whole from the generated rows', () => {
    expect(parseRows(SCHEMA_ROWS)).toEqual(schema);
  });

  test('has 91 server, 268 session, 22 clientSession and 6 clientGlobal methods', () => {
    const count = (section: string) => schema.filter((m) => m.section === section).length;
    expect(['server', 'session', 'clientSession', 'clientGlobal'].map(count)).toEqual([91, 268, 22, 6]);
  });

  test('has no method that nobody has classified', () => {
    expect(fromClients.filter((m) => lookup(m.name) === undefined).map((m) => m.name)).toEqual([]);
  });

  test('still has every method that is classified', () => {
    const known = new Set([...fromClients.map((m) => m.name), ...LEGACY]);
    expect(METHODS.filter((spec) => !known.has(spec.name)).map((spec) => spec.name)).toEqual([]);
  });

  test('has no request or notification to clients that nobody has classified', () => {
    expect(fromServers.filter((m) => lookupServerRequest(m.name) === undefined).map((m) => m.name)).toEqual([]);
  });

  test('still has every request to clients that is classified', () => {
    const known = new Set([...fromServers.map((m) => m.name), ...UNDOCUMENTED_REQUESTS]);
    expect(SERVER_REQUESTS.filter((spec) => !known.has(spec.name)).map((spec) => spec.name)).toEqual([]);
  });

  test('agrees on what is a request and what a notification', () => {
    const kinds = fromServers.map((m) => [m.name, m.notification ? 'notification' : 'request']);
    expect(fromServers.map((m) => [m.name, lookupServerRequest(m.name)?.kind])).toEqual(kinds);
  });

  test.each(passedOn.map((m) => [m.name, m] as const))('%s has exactly the parameters that were judged', (name, method) => {
    expect([...(lookup(name)?.params ?? [])].sort()).toEqual([...method.params]);
  });

  test.each(passedOn.map((m) => [m.name, m] as const))('%s carries session ids exactly where the catalogue says', (name, method) => {
    const spec = lookup(name);
    expect(spec?.carriers.map((c) => c.path)).toEqual(method.paramIds.filter((path) => path !== 'sessionId'));
    expect(spec?.resultIds).toEqual(method.resultIds);
  });
});
