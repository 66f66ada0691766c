import { describe, expect, it } from 'vitest';
import { Line } from '../../../proxy/fleet/line.js';

const LONG = 60_000;
const why = () => 'nobody came';

describe('the line of those who wait', () => {
  it('gives all claims of a user one answer', async () => {
    const line = new Line();
    const claims = [line.wait('alice', LONG, why), line.wait('alice', LONG, why)];
    line.answer('alice', { name: 'managed-u1' });
    expect(await Promise.all(claims)).toEqual([{ name: 'managed-u1' }, { name: 'managed-u1' }]);
    expect(line.isAwaited('alice')).toBe(false);
  });

  it('has each user once, in order of arrival', () => {
    const line = new Line();
    for (const user of ['alice', 'bob', 'alice', 'carol', 'bob']) line.enter(user);
    expect([...line.users()]).toEqual(['alice', 'bob', 'carol']);
    expect(line.length).toBe(3);
  });

  it('is left by a user whose last claim has waited for too long, not before', async () => {
    const line = new Line();
    const patient = line.wait('alice', LONG, why);
    line.enter('alice');
    expect(await line.wait('alice', 1, why)).toEqual({ refused: 'waited', reason: 'nobody came' });
    expect(line.has('alice')).toBe(true);
    const bob = line.wait('bob', 1, why);
    line.enter('bob');
    await bob;
    expect(line.has('bob')).toBe(false);
    expect(line.isAwaited('bob')).toBe(false);
    line.answerAll({ refused: 'failed', reason: 'over' });
    expect(await patient).toEqual({ refused: 'failed', reason: 'over' });
    expect(line.length).toBe(0);
  });

  it('takes an answer that nobody waits for', () => {
    const line = new Line();
    line.answer('alice', { name: 'managed-u1' });
    expect(line.length).toBe(0);
  });
});
