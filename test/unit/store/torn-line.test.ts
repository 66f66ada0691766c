import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { mendLastLine } from '../../../proxy/store/torn-line.js';
import { scopeOfEachTest } from '../../support/scope.js';

const scope = scopeOfEachTest();
let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'skyport-torn-'));
  scope.after(() => rmSync(directory, { recursive: true, force: true }));
  file = path.join(directory, 'events.jsonl');
});

function mended(content: string | Buffer): string {
  writeFileSync(file, content);
  mendLastLine(file);
  return readFileSync(file, 'utf8');
}

describe('the last line of a history', () => {
  it('is taken away when it was cut off, wherever that was', () => {
    const whole = '{"type":"a"}\n';
    const line = Buffer.from('{"type":"b","text":"é\\n"}\n');
    for (let cut = 1; cut < line.length - 1; cut++) {
      expect(mended(Buffer.concat([Buffer.from(whole), line.subarray(0, cut)]))).toBe(whole);
    }
  });

  it('gets the line feed that alone was cut off', () => {
    expect(mended('{"type":"a"}\n{"type":"b"}')).toBe('{"type":"a"}\n{"type":"b"}\n');
  });

  it('stays when it is whole', () => {
    expect(mended('{"type":"a"}\n{"type":"b"}\n')).toBe('{"type":"a"}\n{"type":"b"}\n');
    expect(mended('')).toBe('');
  });

  it('is taken away when it is the only one', () => {
    expect(mended('{"type":"a')).toBe('');
  });

  it('is found however long it is', () => {
    expect(mended(`{"type":"a"}\n{"type":"${'é'.repeat(200_000)}`)).toBe('{"type":"a"}\n');
    expect(mended(`{"type":"${'b'.repeat(200_000)}`)).toBe('');
  });

  it('that is no event is left alone', () => {
    expect(mended('{"type":"a"}\nsomething else')).toBe('{"type":"a"}\nsomething else');
  });

  it('is looked for in a plain file only', () => {
    const target = path.join(directory, 'target');
    writeFileSync(target, '{"torn');
    symlinkSync(target, file);
    mendLastLine(file);
    expect(readFileSync(target, 'utf8')).toBe('{"torn');
    rmSync(file);
    mendLastLine(file);
    mkdirSync(file);
    mendLastLine(file);
  });
});
