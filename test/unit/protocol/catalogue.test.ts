import { describe, expect, test } from 'vitest';
import { isKnownMethod, lookup, lookupServerRequest, METHODS, orderOf } from '../../../proxy/protocol/catalogue.js';
import { SERVER_REQUESTS } from '../../../proxy/protocol/server-requests.js';

const orderOfName = (name: string) => lookup(name)?.order;

describe('the catalogue', () => {
  test('names every method once', () => {
    expect(new Set(METHODS.map((spec) => spec.name)).size).toBe(METHODS.length);
  });

  test('names every request of a server once', () => {
    expect(new Set(SERVER_REQUESTS.map((spec) => spec.name)).size).toBe(SERVER_REQUESTS.length);
  });

  test('does not know what is not in it, not even by a property of objects', () => {
    expect([lookup('session.attach'), lookup('constructor'), lookupServerRequest('__proto__')]).toEqual([undefined, undefined, undefined]);
  });

  test('knows both directions as labels', () => {
    expect(['session.send', 'session.event', 'nonsense'].map(isKnownMethod)).toEqual([true, true, false]);
  });

  test('has a session id in the parameters of every method that goes to a session', () => {
    expect(METHODS.filter((spec) => spec.route === 'session' && !spec.params.has('sessionId'))).toEqual([]);
  });

  test('orders nothing but calls on a session', () => {
    expect(METHODS.filter((spec) => spec.order !== 'none' && spec.route !== 'session')).toEqual([]);
  });

  test('gives every method that is never passed on a rule to name', () => {
    expect(METHODS.filter((spec) => spec.route === 'refuse' && spec.rules.length !== 1)).toEqual([]);
  });
});

describe('the order of calls', () => {
  test.each(['session.send', 'session.sendMessages', 'session.history.truncate', 'session.create', 'session.resume', 'session.detach'])(
    '%s holds later writes', (name) => expect(orderOfName(name)).toBe('write'),
  );

  test.each(['session.commands.invoke', 'session.commands.execute', 'session.fleet.start', 'session.tasks.startAgent', 'session.history.compact', 'session.history.summarizeForHandoff'])(
    '%s holds nobody', (name) => expect(orderOfName(name)).toBe('long'),
  );

  test.each(['session.abort', 'session.interruptMainTurn', 'session.cancelAllBackgroundAgents', 'session.suspend', 'session.shutdown', 'session.history.abortManualCompaction', 'session.queue.clear'])(
    '%s overtakes long calls', (name) => expect(orderOfName(name)).toBe('interrupt'),
  );

  test.each(['session.queue.pendingItems', 'session.queue.snapshot', 'session.queue.hasPending', 'session.schedule.list', 'session.getMessages'])(
    '%s is a read', (name) => expect(orderOfName(name)).toBe('none'),
  );

  test('no answer to a request of the server ever waits', () => {
    const answers = METHODS.filter((spec) => /\.(handlePending|respond)/.test(spec.name));
    expect(answers.length).toBeGreaterThan(8);
    expect(answers.filter((spec) => spec.order !== 'none')).toEqual([]);
  });

  test('a send that waits for the end of its turn is a long call', () => {
    const send = lookup('session.send');
    expect(send && [orderOf(send, ['sessionId', 'prompt']), orderOf(send, ['sessionId', 'prompt', 'wait'])]).toEqual(['write', 'long']);
  });

  test('what a handler of the client may answer never holds the writes of that handler', () => {
    const toClient = METHODS.filter((spec) => /^session\.(commands|fleet|tasks|ui)\./.test(spec.name));
    expect(toClient.filter((spec) => spec.order === 'write')).toEqual([]);
  });
});

describe('the life of sessions', () => {
  test('the methods that begin and end one are marked', () => {
    const lives = METHODS.filter((spec) => spec.life !== undefined).map((spec) => [spec.name, spec.life]);
    expect(lives).toEqual([
      ['session.create', 'create'], ['session.resume', 'resume'], ['session.delete', 'delete'], ['session.destroy', 'destroy'],
      ['session.detach', 'detach'], ['sessions.close', 'close'], ['sessions.delete', 'delete'],
    ]);
  });

  test('a fork is registered to the owner', () => {
    expect(lookup('sessions.fork')?.registers).toBe('sessionId');
  });

  test('what starts the agent loop is marked', () => {
    expect(METHODS.filter((spec) => spec.opensTurn).map((spec) => spec.name)).toEqual([
      'session.send', 'session.sendMessages', 'session.fleet.start', 'session.queue.enqueueResumePending', 'session.queue.process',
    ]);
  });

  test('an unknown session is answered as the runtime does', () => {
    const names = ['session.detach', 'session.destroy', 'session.getMetadata', 'sessions.getMetadata', 'session.send'];
    expect(names.map((name) => lookup(name)?.unknownSession)).toEqual(['detached', 'destroyed', 'empty', 'empty', 'refuse']);
  });
});

test.each([
  ['session.event', 'attachment'], ['session.lifecycle', 'owner'], ['gitHubTelemetry.event', 'telemetry'], ['hooks.invoke', 'attachment'],
  ['sessionFs.readFile', 'provider'], ['llmInference.httpRequestStart', 'provider'], ['extensionLaunchProvider.resolve', 'refuse'],
])('%s of a server is handed to: %s', (name, deliver) => {
  expect(lookupServerRequest(name)?.deliver).toBe(deliver);
});
