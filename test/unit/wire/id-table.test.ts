import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdTable } from '../../../proxy/wire/id-table.js';

const one = (id: number | string): { readonly id: number | string } => ({ id });

describe('what waits for answers', () => {
  it('is found by its id, once', () => {
    const table = new IdTable();
    const call = one(7);
    table.add(7, call);
    expect(table.get(7)).toBe(call);
    expect(table.take(7)).toBe(call);
    expect(table.take(7)).toBeUndefined();
    expect(table.size).toBe(0);
  });

  it('is not found by an id that shares its slot', () => {
    const table = new IdTable();
    table.add(1, one(1));
    expect(table.get(1 + 4096)).toBeUndefined();
    expect(table.take(1 + 2 ** 40)).toBeUndefined();
    expect(table.get('1')).toBeUndefined();
    expect(table.size).toBe(1);
  });

  it('may have waited while thousands came and went', () => {
    const table = new IdTable();
    const patient = one(3);
    table.add(3, patient);
    for (let id = 4; id < 100_000; id++) {
      const call = one(id);
      table.add(id, call);
      expect(table.take(id)).toBe(call);
    }
    expect(table.all()).toEqual([patient]);
    expect(table.take(3)).toBe(patient);
  });

  it('is listed in the order of ids, whatever slots they have', () => {
    const table = new IdTable();
    for (const id of ['b', 9_999_999_999, 5, 4101, 4, 'a', 0]) table.add(id, one(id));
    expect(table.all()).toEqual([0, 4, 5, 4101, 9_999_999_999, 'b', 'a'].map(one));
  });

  it('is told by the call, too', () => {
    const table = new IdTable();
    const calls = [1_000_000_000, 1_000_004_096, 'x'].map(one);
    for (const call of calls) table.add(call.id, call);
    expect(calls.map((call) => table.idOf(call))).toEqual([1_000_000_000, 1_000_004_096, 'x']);
    expect(table.idOf(one(1_000_000_000))).toBeUndefined();
  });

  it('is what a map would have', () => {
    const ids = fc.oneof(fc.nat(40), fc.nat(40).map((n) => n * 1024), fc.nat(9_999_999_999), fc.constantFrom('a', 'b', '1'));
    fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), ids), { maxLength: 300 }), (steps) => {
      const table = new IdTable();
      const map = new Map<number | string, object>();
      for (const [adds, id] of steps) {
        if (adds && !map.has(id)) {
          const call = one(id);
          table.add(id, call);
          map.set(id, call);
        } else if (!adds) {
          expect(table.take(id)).toBe(map.get(id));
          map.delete(id);
        }
        expect(table.size).toBe(map.size);
      }
      for (const [id, call] of map) expect(table.get(id)).toBe(call);
      expect(new Set(table.all())).toEqual(new Set(map.values()));
    }));
  });
});
