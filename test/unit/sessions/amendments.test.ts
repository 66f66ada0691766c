import { describe, expect, test } from 'vitest';
import { Amendments, isAmendment } from '../../../proxy/sessions/amendments.js';
import type { SessionLink } from '../../../proxy/sessions/attachment.js';

function recordingLink(): { link: SessionLink; calls: [string, object][] } {
  const calls: [string, object][] = [];
  const call = (method: string, params: object) => {
    calls.push([method, params]);
    return Promise.resolve({ ok: true as const, result: {} });
  };
  return { link: { call } as unknown as SessionLink, calls };
}

describe('what was set on a session', () => {
  test('is set again in the order it was first set, with the session it belongs to', async () => {
    const amendments = new Amendments();
    amendments.note('session.permissions.setApproveAll', { sessionId: 's', enabled: true });
    amendments.note('session.options.update', { sessionId: 's', coauthorEnabled: false });
    const { link, calls } = recordingLink();
    await amendments.replay('s', link);
    expect(calls).toEqual([
      ['session.permissions.setApproveAll', { sessionId: 's', enabled: true }],
      ['session.options.update', { sessionId: 's', coauthorEnabled: false }],
    ]);
  });

  test('adds up for options', async () => {
    const amendments = new Amendments();
    amendments.note('session.options.update', { sessionId: 's', coauthorEnabled: false, askUserDisabled: true });
    amendments.note('session.options.update', { sessionId: 's', askUserDisabled: false });
    const { link, calls } = recordingLink();
    await amendments.replay('s', link);
    expect(calls).toEqual([['session.options.update', { sessionId: 's', coauthorEnabled: false, askUserDisabled: false }]]);
  });

  test('is what was set last for the approval of everything', async () => {
    const amendments = new Amendments();
    amendments.note('session.permissions.setApproveAll', { sessionId: 's', enabled: true, source: 'x' });
    amendments.note('session.permissions.setApproveAll', { sessionId: 's', enabled: false });
    const { link, calls } = recordingLink();
    await amendments.replay('s', link);
    expect(calls).toEqual([['session.permissions.setApproveAll', { sessionId: 's', enabled: false }]]);
  });

  test('is forgotten when nobody is attached any more', async () => {
    const amendments = new Amendments();
    amendments.note('session.options.update', { sessionId: 's', coauthorEnabled: false });
    amendments.clear();
    const { link, calls } = recordingLink();
    await amendments.replay('s', link);
    expect(calls).toEqual([]);
  });
});

test('a switch of the model goes into the resume, the last one counts', async () => {
  const amendments = new Amendments();
  amendments.note('session.model.switchTo', { sessionId: 's', modelId: 'one', reasoningEffort: 'low' });
  amendments.note('session.model.switchTo', { sessionId: 's', modelId: 'two' });
  amendments.note('session.model.setReasoningEffort', { sessionId: 's', reasoningEffort: 'high' });
  expect(amendments.resumeParams()).toEqual({ model: 'two', reasoningEffort: 'high' });
  const { link, calls } = recordingLink();
  await amendments.replay('s', link);
  expect(calls).toEqual([]);
});

test('a deselected agent is not selected again', async () => {
  const amendments = new Amendments();
  amendments.note('session.agent.select', { sessionId: 's', name: 'reviewer' });
  amendments.note('session.agent.deselect', { sessionId: 's' });
  const { link, calls } = recordingLink();
  await amendments.replay('s', link);
  expect(calls).toEqual([['session.agent.deselect', { sessionId: 's' }]]);
});

test('a message is nothing to be repeated', () => {
  expect(['session.send', 'session.history.compact', 'session.name.set'].filter(isAmendment)).toEqual([]);
});
