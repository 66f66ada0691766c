import { expect, it } from 'vitest';
import type { Link } from '../../../proxy/backends/link.js';
import { Ask, readAskId } from '../../../proxy/clients/ask.js';
import type { Client } from '../../../proxy/clients/client.js';
import { lookup } from '../../../proxy/protocol/catalogue.js';
import { scan, type Scan } from '../../../proxy/wire/scan.js';

const REQUEST = '{"jsonrpc":"2.0","id":1000000007,"method":"session.getMessages","params":{"sessionId":"one"}}';

class Held {
  bytes = 0;
  readonly sent: { readonly buffer: Buffer; readonly text: string }[] = [];
  readonly client = { hold: (bytes: number) => void (this.bytes += bytes), pausedBy: () => undefined, answered: () => undefined } as unknown as Client;
  readonly link = {
    forward: (frame: Ask, idStart: number) => {
      frame.buffer.write(String(2_000_000_000 + this.sent.length), idStart, 'latin1');
      this.sent.push({ buffer: frame.buffer, text: frame.buffer.toString('latin1', frame.body, frame.end) });
    },
  } as unknown as Link;

  ask(read: Buffer, body: number): Ask {
    const seen = scan(read, body, body + REQUEST.length) as Scan;
    const frame = { buffer: read, start: -1, body, end: body + REQUEST.length };
    return new Ask(this.client, readAskId(read, seen.idStart, seen.idEnd), lookup(seen.method)!, frame, seen);
  }
}

const readOf = (text: string): Buffer => {
  const read = Buffer.allocUnsafeSlow(text.length);
  read.write(text, 'latin1');
  return read;
};

it('requests that came in one small read hold it together, until the last of them is answered', () => {
  const held = new Held();
  const read = readOf(`${REQUEST}${REQUEST}`);
  const asks = [held.ask(read, 0), held.ask(read, REQUEST.length)];
  for (const ask of asks) {
    ask.again = () => undefined;
    ask.forward(held.link, 'cli-1');
    ask.settle();
  }
  expect(held.bytes).toBe(read.length);
  asks[0]!.giveUp();
  expect(held.bytes).toBe(read.length);
  asks[1]!.giveUp();
  expect(held.bytes).toBe(0);
});

it('a call that is made anew writes no other id into what the first link was given', () => {
  const held = new Held();
  const ask = held.ask(readOf(`before${REQUEST}`), 'before'.length);
  ask.again = () => undefined;
  ask.forward(held.link, 'cli-1');
  ask.settle();
  ask.forward(held.link, 'cli-2');
  const [first, second] = held.sent;
  expect(second!.text).toBe(REQUEST.replace('1000000007', '2000000001'));
  expect(first!.buffer.toString('latin1')).toBe(`before${REQUEST.replace('1000000007', '2000000000')}`);
});

it('a message that is not kept is let go when the call that brought it is over', () => {
  const held = new Held();
  const ask = held.ask(readOf(REQUEST), 0);
  ask.forward(held.link, 'cli-1');
  ask.settle();
  expect([ask.buffer.length, held.bytes]).toEqual([0, 0]);
});
