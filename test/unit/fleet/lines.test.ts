import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineReader } from '../../../proxy/fleet/lines.js';

function reader(now: () => number = () => 0) {
  const lines: string[] = [];
  const watched: string[] = [];
  return { lines, watched, reader: new LineReader((line) => lines.push(line), (line) => watched.push(line), now) };
}

describe('the lines of a server', () => {
  it('are cut at newlines, with or without a carriage return', () => {
    const { lines, reader: r } = reader();
    r.push(Buffer.from('one\r\ntwo\n\nthree'));
    expect(lines).toEqual(['one', 'two', '']);
    r.end();
    expect(lines).toEqual(['one', 'two', '', 'three']);
  });

  it('are the same however the bytes are split', () => {
    const text = Buffer.from('CLI server listening on port 4321\nGrüße\n— 🙂\nend');
    fc.assert(fc.property(fc.array(fc.nat(text.length)), (cuts) => {
      const { lines, reader: r } = reader();
      const at = [0, ...cuts.sort((a, b) => a - b), text.length];
      for (let i = 1; i < at.length; i++) r.push(text.subarray(at[i - 1], at[i]));
      r.end();
      expect(lines).toEqual(['CLI server listening on port 4321', 'Grüße', '— 🙂', 'end']);
    }));
  });

  it('are cut at 4096 characters, and the rest of the line is skipped', () => {
    const { lines, reader: r } = reader();
    for (let i = 0; i < 100; i++) r.push(Buffer.alloc(1000, 'x'));
    r.push(Buffer.from('tail\nnext\n'));
    expect(lines).toEqual([`${'x'.repeat(4096)}…`, 'next']);
  });

  it('are dropped past the rate, and counted', () => {
    let now = 0;
    const { lines, reader: r } = reader(() => now);
    r.push(Buffer.from('line\n'.repeat(1_000)));
    expect(lines).toHaveLength(200);
    now = 100;
    r.push(Buffer.from('later\n'));
    expect(lines.slice(200)).toEqual(['(800 lines dropped)', 'later']);
  });

  it('are counted at the end, if nothing was passed on after the drop', () => {
    const { lines, reader: r } = reader();
    r.push(Buffer.from('line\n'.repeat(201)));
    r.end();
    expect(lines.at(-1)).toBe('(1 line dropped)');
  });

  it('are all seen by the watcher, also those that are dropped', () => {
    const { watched, reader: r } = reader();
    r.push(Buffer.from(`${'noise\n'.repeat(500)}CLI server listening on port 1\n`));
    expect(watched).toHaveLength(501);
  });
});
