import { describe, expect, it } from 'vitest';
import { readerResume, refuseByAccess } from '../../../proxy/guard/sharing.js';
import { METHODS, lookup } from '../../../proxy/protocol/catalogue.js';
import { SHARED_METHODS, leastAccess } from '../../../proxy/protocol/classification/sharing.js';

const verdict = (access: 'owner' | 'writer' | 'reader', method: string) => refuseByAccess(access, lookup(method)!)?.name;

describe('what others may call on a shared session', () => {
  it('is named once each, and is a method on a session', () => {
    expect(new Set(SHARED_METHODS).size).toBe(SHARED_METHODS.length);
    expect(SHARED_METHODS.filter((method) => lookup(method)?.route !== 'session')).toEqual([]);
  });

  it('never falls under a rule of the guard that could keep the owner from it', () => {
    expect(SHARED_METHODS.filter((method) => lookup(method)!.rules.length > 0)).toEqual([]);
  });

  it('is for readers only what a server does not order as a write', () => {
    const readers = SHARED_METHODS.filter((method) => leastAccess(method) === 'reader').map((method) => lookup(method)!);
    expect(readers.filter(({ order, life }) => order !== 'none' && life === undefined).map(({ name }) => name)).toEqual([]);
    expect(readers.filter(({ opensTurn }) => opensTurn)).toEqual([]);
  });

  it('is for readers nothing that answers the server', () => {
    const answers = METHODS.filter(({ name }) => /handlePending|respond/i.test(name)).map(({ name }) => name);
    expect(answers.filter((method) => leastAccess(method) === 'reader')).toEqual([]);
  });

  it.each(['session.delete', 'sessions.delete', 'sessions.close', 'sessions.fork', 'session.options.update', 'session.history.rewind',
    'session.permissions.setApproveAll', 'session.shutdown', 'session.commands.execute'])('is not %s', (method) => {
    expect([verdict('writer', method), verdict('reader', method), verdict('owner', method)]).toEqual(['SKYPORT_OWNER_ONLY', 'SKYPORT_OWNER_ONLY', undefined]);
  });

  it.each(['session.send', 'session.abort', 'session.permissions.handlePendingPermissionRequest', 'session.tools.handlePendingToolCall'])(
    'is %s for writers', (method) => {
      expect([verdict('writer', method), verdict('reader', method)]).toEqual([undefined, 'SKYPORT_READ_ONLY']);
    });

  it.each(['session.resume', 'session.detach', 'session.getMessages', 'session.eventLog.read'])('is %s for readers, too', (method) => {
    expect([verdict('writer', method), verdict('reader', method)]).toEqual([undefined, undefined]);
  });

  it('is closed for what nobody has judged', () => {
    expect(leastAccess('session.brandNew')).toBe('owner');
  });
});

describe('a reader\'s resume', () => {
  it('keeps which session it is, and nothing that would change it', () => {
    const params = {
      sessionId: 's1', traceparent: '00-1', model: 'gpt-5', streaming: true, tools: [{ name: 'x' }], hooks: true, requestUserInput: true,
      provider: { apiKey: 'k' }, workingDirectory: '/', mcpServers: {}, disableResume: false, continuePendingWork: true, enableFileHooks: false,
    };
    expect(readerResume(params)).toEqual({ sessionId: 's1', traceparent: '00-1', enableFileHooks: false });
  });
});
