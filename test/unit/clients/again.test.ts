import { describe, expect, it } from 'vitest';
import { isAnswer, isRepeatable } from '../../../proxy/clients/again.js';
import { lookup, orderOf } from '../../../proxy/protocol/catalogue.js';

const repeatable = (method: string, ...params: string[]): boolean => {
  const spec = lookup(method)!;
  return isRepeatable(spec, orderOf(spec, params));
};

describe('a call whose server is lost before it was answered', () => {
  it.each([
    'session.send', 'session.sendMessages', 'session.abort', 'session.getMessages', 'session.metadata.activity', 'session.name.set',
    'session.mode.set', 'session.model.switchTo', 'session.permissions.handlePendingPermissionRequest', 'session.tools.handlePendingToolCall',
  ])('is made once more: %s', (method) => {
    expect(repeatable(method)).toBe(true);
  });

  it.each(['session.history.compact', 'session.history.truncate', 'session.delete', 'session.commands.execute'])('is not made a second time: %s', (method) => {
    expect(repeatable(method)).toBe(false);
  });

  it('is not made a second time when it is answered at the end of its turn only', () => {
    expect(repeatable('session.send', 'wait')).toBe(false);
  });

  it.each([
    ['session.permissions.handlePendingPermissionRequest', true], ['session.tools.handlePendingToolCall', true],
    ['session.permissions.setMode', false], ['session.send', false],
  ])('%s answers a prompt: %s', (method, answers) => {
    expect(isAnswer(lookup(method)!)).toBe(answers);
  });
});
