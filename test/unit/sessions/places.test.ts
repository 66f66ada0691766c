import { describe, expect, it } from 'vitest';
import { isRefusal } from '../../../proxy/protocol/errors.js';
import { Directory } from '../../../proxy/sessions/directory.js';
import { Places } from '../../../proxy/sessions/places.js';
import { FakeRegistry, settled } from './cast.js';

/** A backend with one place, and sessions of several owners that want it. */
async function stage(owners: readonly string[]) {
  const directory = new Directory(new FakeRegistry(), {
    turnStarted: () => undefined, turnEnded: () => undefined, changed: () => undefined, unloaded: () => undefined,
  }, () => undefined);
  const places = new Places(directory, () => 1, () => undefined);
  const got: string[] = [];
  const held: (() => void)[] = [];
  for (const [n, owner] of owners.entries()) {
    const session = await directory.register(`s${n}`, owner, 'b1', false);
    void places.take(session).then((place) => {
      if (isRefusal(place)) return;
      got.push(`${owner} ${n}`);
      held.push(place);
    });
  }
  return {
    got,
    giveBack: async (): Promise<void> => {
      held.shift()!();
      for (let n = 0; n < 5; n++) await settled();
    },
  };
}

describe('sessions that wait for a place', () => {
  it('get it in turns of their owners, those of one owner in order of arrival', async () => {
    const { got, giveBack } = await stage(['alice', 'alice', 'alice', 'alice', 'bob', 'carol', 'bob']);
    await settled();
    for (let n = 0; n < 6; n++) await giveBack();
    expect(got).toEqual(['alice 0', 'alice 1', 'bob 4', 'alice 2', 'carol 5', 'bob 6', 'alice 3']);
  });
});
