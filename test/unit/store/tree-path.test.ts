import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FileFault } from '../../../proxy/store/session-files.js';
import { directoriesAbove, directoryName, isWithin, treePath } from '../../../proxy/store/tree-path.js';

/** What somebody would try, and what nobody would. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.constantFrom('..', '.', '', '/', '//', '\\', '..\\', '\0', '%2e%2e', '...', 'a', 'é', 'C:', '~', 'x'.repeat(300), '\ud800'), { maxLength: 40 })
    .map((parts) => parts.join('/')),
  fc.array(fc.constantFrom('..', '.', '/', '\\', '\0', 'a', 'b'), { maxLength: 30 }).map((parts) => parts.join('')),
);

function codeOf(call: () => unknown): string {
  try {
    return `accepted as ${String(call())}`;
  } catch (error) {
    return error instanceof FileFault ? error.code : String(error);
  }
}

describe('a path in a session', () => {
  it.each([
    ['/events.jsonl', '/events.jsonl'],
    ['events.jsonl', '/events.jsonl'],
    ['/', ''],
    ['', ''],
    ['.', ''],
    ['//checkpoints///1.md/', '/checkpoints/1.md'],
    ['/./checkpoints/./1.md', '/checkpoints/1.md'],
    ['/checkpoints/../events.jsonl', '/events.jsonl'],
    ['/a/b/../../c', '/c'],
    ['/a/..', ''],
    ['/.hidden/...', '/.hidden/...'],
    ['/~/C:/%2e%2e', '/~/C:/%2e%2e'],
    ['/Ünï/文', '/Ünï/文'],
  ])('%j is %j', (given, spelled) => {
    expect(treePath(given)).toBe(spelled);
  });

  it.each([
    ['leads above the root', '/..'],
    ['leads above the root after all', '/a/../../b'],
    ['leads above the root and back', '/../a'],
    ['holds NUL', '/a\0b'],
    ['holds a backslash', '/a\\..\\b'],
    ['holds half a surrogate pair', '/a\ud800'],
    ['has a name of 256 bytes', `/${'x'.repeat(256)}`],
    ['has a name of 256 bytes in fewer characters', `/${'é'.repeat(128)}`],
    ['has more than 1024 bytes', '/aaaaaaa'.repeat(129)],
    ['has more than 1024 bytes that count for nothing', '/'.repeat(1025)],
    ['is 33 names deep', '/a'.repeat(33)],
  ])('that %s is refused', (_, given) => {
    expect(codeOf(() => treePath(given))).toBe('EINVAL');
  });

  it('may be as long and as deep as that', () => {
    expect(treePath(`/${'x'.repeat(255)}`)).toBe(`/${'x'.repeat(255)}`);
    expect(treePath('/a'.repeat(32))).toBe('/a'.repeat(32));
  });

  it('never leads out of the directory it is put behind, however it is spelled', () => {
    fc.assert(fc.property(hostile, (given) => {
      let spelled: string;
      try {
        spelled = treePath(given);
      } catch (error) {
        return error instanceof FileFault && error.code === 'EINVAL';
      }
      const resolved = path.posix.resolve(`/store/files${spelled}`);
      return resolved === `/store/files${spelled}` && !/[\0\\]/.test(spelled);
    }), { numRuns: 5000 });
  });

  it('that was accepted is spelled the same when it is read again', () => {
    fc.assert(fc.property(hostile, (given) => {
      const spelled = codeOf(() => treePath(given));
      fc.pre(spelled !== 'EINVAL');
      return treePath(treePath(given)) === treePath(given);
    }), { numRuns: 2000 });
  });

  it('has the directories above it from the top', () => {
    expect(directoriesAbove('/a/b/c')).toEqual(['/a', '/a/b']);
    expect(directoriesAbove('/a')).toEqual([]);
    expect(directoriesAbove('')).toEqual([]);
  });

  it('is within itself and what is above it, not within what only begins alike', () => {
    expect([isWithin('/a', '/a'), isWithin('/a/b', '/a'), isWithin('/ab', '/a')]).toEqual([true, true, false]);
  });
});

describe('the directory name of a session', () => {
  it.each([['abc-1_2', 'abc-1_2'], ['A', 'a.1'], ['aB', 'ab.2'], ['AB', 'ab.3']])('%s is %s', (id, name) => {
    expect(directoryName(id)).toBe(name);
  });

  it('fits a file name, also for the longest id', () => {
    expect(directoryName('Z'.repeat(128))).toBe(`${'z'.repeat(128)}.${'f'.repeat(32)}`);
  });

  it('is another one for every id, without regard to case', () => {
    const id = fc.string({ unit: fc.constantFrom('a', 'A', 'b', 'B', '1', '-', '_'), minLength: 1, maxLength: 6 });
    fc.assert(fc.property(id, id, (one, other) => (
      (directoryName(one).toLowerCase() === directoryName(other).toLowerCase()) === (one === other)
    )), { numRuns: 5000 });
  });

  it.each(['', '.', '..', 'a/b', 'a.b', 'é', 'a\0', 'x'.repeat(129), 'a\n'])('is not given for %j', (id) => {
    expect(codeOf(() => directoryName(id))).toBe('EINVAL');
  });
});
