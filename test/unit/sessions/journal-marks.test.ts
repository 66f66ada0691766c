import { expect, it } from 'vitest';
import { Journal } from '../../../proxy/sessions/journal.js';
import { frameOf } from '../../../proxy/wire/frame.js';

/** An event as the runtime writes it; `mark` is where it says that it is not stored. */
function seen(journal: Journal, type: string, data: string, mark?: 'head' | 'end'): void {
  const note = '"ephemeral":true,';
  const event = `{"type":"${type}",${mark === 'head' ? note : ''}"data":${data},${mark === 'end' ? note : ''}"id":"id-of-${type}","timestamp":"2026-01-01T00:00:00.000Z","parentId":"p-1"}`;
  journal.see(type, frameOf(Buffer.from(`{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"s-1","event":${event}}}`)));
}

const missing = (journal: Journal): number => journal.missing(new Set(), new Set()).length;

it.each(['head', 'end'] as const)('an event that says at its %s that it is not stored is not kept', (mark) => {
  const journal = new Journal();
  seen(journal, 'model.messages_snapshot', '{"n":1}', mark);
  expect(missing(journal)).toBe(0);
});

it('an event whose data only speaks of such a mark is kept', () => {
  const journal = new Journal();
  const text = JSON.stringify('","ephemeral":true,"id":"x","timestamp":"t","parentId":null}}} "event":{"type":"assistant.message","ephemeral":true,');
  seen(journal, 'assistant.message', `{"content":${text}}`);
  expect(missing(journal)).toBe(1);
});
