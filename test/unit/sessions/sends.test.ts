import { beforeEach, describe, expect, it } from 'vitest';
import { Sends, type Send } from '../../../proxy/sessions/sends.js';

let sends: Sends;

beforeEach(() => {
  sends = new Sends();
});

const accepted = (prompt: string, messageId: string): Send => {
  const send = sends.sent('session.send', { prompt });
  sends.accepted(send, messageId);
  return send;
};

describe('a message that a server has accepted', () => {
  it('is lost when the history that the server left does not tell of it', () => {
    const [one, two] = [accepted('one', 'm1'), accepted('two', 'm2')];
    expect(sends.settle(['m0'])).toEqual({ lost: [one, two], claimed: false });
  });

  it('is not lost once its event was seen and stored', () => {
    accepted('one', 'm1');
    sends.seen('m1', 'one');
    expect(sends.settle(['m1']).lost).toEqual([]);
  });

  it('is known by its event also when that came before the answer', () => {
    const send = sends.sent('session.send', { prompt: 'one' });
    sends.seen('m1', 'one');
    sends.accepted(send, 'm1');
    expect(sends.settle(['m1']).lost).toEqual([]);
  });

  it('is still lost when the next server dies as well', () => {
    const send = accepted('one', 'm1');
    sends.settle([]);
    expect(sends.settle([]).lost).toEqual([send]);
  });

  it('keeps its place among the others, however often they are sent again', () => {
    const [one, two] = [accepted('one', 'm1'), accepted('two', 'm2')];
    sends.settle([]);
    sends.sentAgain(one!);
    sends.settle([]);
    sends.sentAgain(one!);
    sends.accepted(one!, 'm3');
    expect(sends.settle([]).lost).toEqual([one, two]);
  });

  it('is not wanted any more once its client has ended the turn', () => {
    accepted('one', 'm1');
    sends.abort();
    expect(sends.settle([]).lost).toEqual([]);
  });

  it('is trusted when the answer does not name it', () => {
    const send = sends.sent('session.send', { prompt: 'one' });
    sends.accepted(send, undefined);
    expect(sends.settle([]).lost).toEqual([]);
  });
});

describe('a message that waits for its answer', () => {
  it('is its own event, when that is newer and says the same', () => {
    const send = sends.sent('session.send', { prompt: 'one' });
    sends.seen('m1', 'one');
    expect(sends.settle(['m1'])).toEqual({ lost: [], claimed: true });
    expect(send.messageId).toBe('m1');
  });

  it.each([
    ['says something else', () => sends.seen('m1', 'other')],
    ['is not in the history', () => sends.seen('m2', 'one')],
  ])('is no event that %s', (_, happen) => {
    const send = sends.sent('session.send', { prompt: 'one' });
    happen();
    expect(sends.settle(['m1']).claimed).toBe(false);
    expect(send.messageId).toBeUndefined();
  });

  it('is no event from before it was sent', () => {
    sends.seen('m1', 'one');
    const send = sends.sent('session.send', { prompt: 'one' });
    expect(sends.settle(['m1']).claimed).toBe(false);
    expect(send.messageId).toBeUndefined();
  });

  it('is not counted as lost: whoever waits for the answer sends it again', () => {
    sends.sent('session.send', { prompt: 'one' });
    expect(sends.settle([]).lost).toEqual([]);
  });

  it('is followed anew when it is sent again', () => {
    const send = sends.sent('session.send', { prompt: 'one' });
    sends.settle([]);
    sends.sentAgain(send);
    sends.accepted(send, 'm2');
    expect(sends.settle([]).lost).toEqual([send]);
  });

  it('is forgotten when it is refused', () => {
    const send = sends.sent('session.send', { prompt: 'one' });
    sends.refused(send);
    sends.seen('m1', 'one');
    expect(sends.settle(['m1']).claimed).toBe(false);
  });
});
