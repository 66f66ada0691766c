import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedFiles } from '../../../proxy/store/embedded-files.js';
import { FileFault, type Lease, type Quotas } from '../../../proxy/store/session-files.js';
import { scopeOfEachTest } from '../../support/scope.js';

const scope = scopeOfEachTest();
let directory: string;
let files: EmbeddedFiles;
let quotas: Quotas;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'skyport-quota-'));
  scope.after(() => rmSync(directory, { recursive: true, force: true }));
  quotas = { session: undefined, user: undefined };
  files = openFiles();
});

function openFiles(): EmbeddedFiles {
  const opened = new EmbeddedFiles(directory, () => quotas);
  scope.after(() => opened.close());
  return opened;
}

async function reopen(): Promise<void> {
  await files.close();
  files = openFiles();
}

async function fenced(sessionId: string, owner = 'alice', epoch = 1): Promise<Lease> {
  await files.fence(sessionId, epoch, owner);
  return { sessionId, epoch };
}

async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(() => 'done', (error: unknown) => (error instanceof FileFault ? error.code : String(error)));
}

describe('the quota of a session', () => {
  it('refuses what would exceed it, writes nothing of it, and says what it is', async () => {
    quotas = { session: 1000, user: undefined };
    const lease = await fenced('Session-1');
    await files.appendFile(lease, '/log', 'x'.repeat(990));
    const fault = await files.appendFile(lease, '/log', 'é'.repeat(6)).catch((error: unknown) => error);
    expect(fault).toMatchObject({ code: 'EDQUOT', message: 'session Session-1 would have 1,002 bytes; the quota of a session is 1,000' });
    expect(await outcomeOf(files.writeFile(lease, '/new/file', 'x'.repeat(11)))).toBe('EDQUOT');
    expect(await files.readdir('Session-1', '/')).toEqual([{ name: 'log', type: 'file' }]);
    expect([await files.size('Session-1'), (await files.readFile('Session-1', '/log')).length]).toEqual([990, 990]);
  });

  it('may be used up to the last byte', async () => {
    quotas = { session: 10, user: undefined };
    const lease = await fenced('s1');
    expect(await outcomeOf(files.writeFile(lease, '/a', '1234567890'))).toBe('done');
    expect(await outcomeOf(files.appendFile(lease, '/a', ''))).toBe('done');
    expect(await outcomeOf(files.appendFile(lease, '/a', '1'))).toBe('EDQUOT');
  });

  it('counts what a write adds to what it replaces', async () => {
    quotas = { session: 10, user: undefined };
    const lease = await fenced('s1');
    await files.writeFile(lease, '/a', '12345678');
    expect(await outcomeOf(files.writeFile(lease, '/a', '1234567890'))).toBe('done');
    expect(await outcomeOf(files.writeFile(lease, '/a', '12345678901'))).toBe('EDQUOT');
    expect(await files.readFile('s1', '/a')).toBe('1234567890');
  });

  it('has room again for what was removed, replaced or renamed over', async () => {
    quotas = { session: 10, user: undefined };
    const lease = await fenced('s1');
    await files.writeFile(lease, '/d/a', '12345');
    await files.writeFile(lease, '/b', '12345');
    await files.rename(lease, '/b', '/d/a');
    expect(await outcomeOf(files.writeFile(lease, '/c', '12345'))).toBe('done');
    await files.rm(lease, '/d', { recursive: true, force: false });
    await files.writeFile(lease, '/c', '');
    expect(await outcomeOf(files.writeFile(lease, '/e', '1234567890'))).toBe('done');
  });

  it('that was exceeded before it was set lets the session shrink and not grow', async () => {
    const lease = await fenced('s1');
    await files.writeFile(lease, '/a', 'x'.repeat(100));
    quotas = { session: 10, user: undefined };
    expect(await outcomeOf(files.appendFile(lease, '/a', 'x'))).toBe('EDQUOT');
    expect(await outcomeOf(files.writeFile(lease, '/a', 'x'.repeat(50)))).toBe('done');
    expect(await outcomeOf(files.mkdir(lease, '/d', false))).toBe('done');
    quotas = { session: 60, user: undefined };
    expect(await outcomeOf(files.appendFile(lease, '/a', 'x'.repeat(10)))).toBe('done');
  });

  it('counts what is on the disk in the next process', async () => {
    await files.writeFile(await fenced('s1'), '/a/b/c', '12345');
    await reopen();
    quotas = { session: 10, user: undefined };
    const lease = await fenced('s1', 'alice', 2);
    expect(await outcomeOf(files.writeFile(lease, '/d', '123456'))).toBe('EDQUOT');
    expect(await outcomeOf(files.writeFile(lease, '/d', '12345'))).toBe('done');
  });
});

describe('the quota of a user', () => {
  it('is for all sessions of that user, and of no other', async () => {
    quotas = { session: undefined, user: 10 };
    const [one, other, bobs] = [await fenced('s1'), await fenced('s2'), await fenced('s3', 'bob')];
    await files.writeFile(one, '/a', '123456');
    const fault = await files.writeFile(other, '/a', '12345').catch((error: unknown) => error);
    expect(fault).toMatchObject({ code: 'EDQUOT', message: 'the sessions of alice would have 11 bytes; the quota of a user is 10' });
    expect(await files.exists('s2', '/a')).toBe(false);
    expect(await outcomeOf(files.writeFile(bobs, '/a', '1234567890'))).toBe('done');
    expect(await outcomeOf(files.writeFile(other, '/a', '1234'))).toBe('done');
  });

  it('counts sessions that were written before it was set, and in an earlier process', async () => {
    for (let n = 0; n < 20; n++) await files.writeFile(await fenced(`S${n}`), '/d/a', '12345');
    await reopen();
    await files.writeFile(await fenced('new'), '/a', '12345');
    quotas = { session: undefined, user: 110 };
    const lease = await fenced('other');
    expect(await outcomeOf(files.writeFile(lease, '/a', '123456'))).toBe('EDQUOT');
    expect(await outcomeOf(files.writeFile(lease, '/a', '12345'))).toBe('done');
  });

  it('is the same for writes that come while it is being counted', async () => {
    const leases = await Promise.all(Array.from({ length: 50 }, (_, n) => fenced(`s${n}`)));
    for (const lease of leases) await files.writeFile(lease, '/a', '1');
    quotas = { session: undefined, user: 75 };
    const outcomes = await Promise.all(leases.map((lease) => outcomeOf(files.appendFile(lease, '/a', '1'))));
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(25);
    expect(outcomes.filter((outcome) => outcome === 'EDQUOT')).toHaveLength(25);
  });

  it('has room again for sessions that were wiped', async () => {
    quotas = { session: undefined, user: 10 };
    await files.writeFile(await fenced('s1'), '/a', '1234567890');
    const lease = await fenced('s2');
    expect(await outcomeOf(files.writeFile(lease, '/a', '1'))).toBe('EDQUOT');
    await files.wipe('s1');
    expect(await outcomeOf(files.writeFile(lease, '/a', '1234567890'))).toBe('done');
    await reopen();
    expect(await outcomeOf(files.appendFile(lease, '/a', '1'))).toBe('EDQUOT');
  });

  it('goes with a session to its next owner', async () => {
    quotas = { session: undefined, user: 10 };
    await files.writeFile(await fenced('s1'), '/a', '12345678');
    await files.writeFile(await fenced('s2', 'bob'), '/a', '1');
    await fenced('s1', 'bob', 2);
    const [alices, bobs] = [await fenced('s3'), await fenced('s4', 'bob')];
    expect(await outcomeOf(files.writeFile(bobs, '/a', '12'))).toBe('EDQUOT');
    expect(await outcomeOf(files.writeFile(bobs, '/a', '1'))).toBe('done');
    expect(await outcomeOf(files.writeFile(alices, '/a', '1234567890'))).toBe('done');
    await reopen();
    expect(await outcomeOf(files.appendFile(bobs, '/a', '1'))).toBe('EDQUOT');
    expect(await outcomeOf(files.appendFile(alices, '/a', '1'))).toBe('EDQUOT');
  });

  it('holds for a copy, of which nothing is left when it is refused', async () => {
    quotas = { session: undefined, user: 10 };
    await files.writeFile(await fenced('s1', 'bob'), '/a', '123456');
    await files.writeFile(await fenced('s2'), '/a', '12345');
    expect(await outcomeOf(files.copy('s1', { sessionId: 's3', epoch: 1 }, 'alice'))).toBe('EDQUOT');
    expect(await files.exists('s3', '/')).toBe(false);
    await files.wipe('s2');
    expect(await outcomeOf(files.copy('s1', { sessionId: 's3', epoch: 1 }, 'alice'))).toBe('done');
    expect(await outcomeOf(files.appendFile({ sessionId: 's3', epoch: 1 }, '/a', '12345'))).toBe('EDQUOT');
    expect(await outcomeOf(files.appendFile({ sessionId: 's3', epoch: 1 }, '/a', '1234'))).toBe('done');
  });

  it('is never exceeded and never counts what is not there, whatever is done', async () => {
    const session = fc.constantFrom('s1', 's2', 'S3');
    const owner = fc.constantFrom('alice', 'bob');
    const name = fc.constantFrom('/a', '/b', '/d/c');
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ call: fc.constant('write' as const), session, name, bytes: fc.nat(40) }) },
      { weight: 5, arbitrary: fc.record({ call: fc.constant('append' as const), session, name, bytes: fc.nat(40) }) },
      fc.record({ call: fc.constant('rename' as const), session, name, to: name }),
      fc.record({ call: fc.constant('rm' as const), session, name: fc.constantFrom('/a', '/d', '/') }),
      fc.record({ call: fc.constant('wipe' as const), session }),
      fc.record({ call: fc.constant('fence' as const), session, owner }),
      fc.record({ call: fc.constant('copy' as const), session, to: session, owner }),
      fc.record({ call: fc.constant('reopen' as const) }),
    );
    quotas = { session: 80, user: 100 };
    let run = 0;
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const prefix = `run${run++}-`;
      const owners = new Map<string, string>();
      let epoch = 1;
      for (const one of steps) {
        if (one.call === 'reopen') {
          await reopen();
          continue;
        }
        const sessionId = prefix + one.session;
        const lease = { sessionId, epoch: 1_000_000 };
        if (one.call === 'write') void outcomeOf(files.writeFile(lease, one.name, 'x'.repeat(one.bytes)));
        else if (one.call === 'append') void outcomeOf(files.appendFile(lease, one.name, 'x'.repeat(one.bytes)));
        else if (one.call === 'rename') void outcomeOf(files.rename(lease, one.name, one.to));
        else if (one.call === 'rm') void outcomeOf(files.rm(lease, one.name, { recursive: true, force: true }));
        else if (one.call === 'wipe') {
          await files.wipe(sessionId);
          owners.delete(sessionId);
        } else if (one.call === 'fence') {
          await files.fence(sessionId, epoch++, prefix + one.owner);
          owners.set(sessionId, prefix + one.owner);
        } else {
          const to = { sessionId: prefix + one.to, epoch: epoch++ };
          if ((await outcomeOf(files.copy(sessionId, to, prefix + one.owner))) === 'done') owners.set(to.sessionId, prefix + one.owner);
          // A copy to one that is there may have fenced it before it was refused.
          else if (owners.has(to.sessionId)) {
            await files.fence(to.sessionId, epoch++, prefix + one.owner);
            owners.set(to.sessionId, prefix + one.owner);
          }
        }
      }
      for (const name of ['alice', 'bob']) {
        const of = [...owners].filter(([, owner]) => owner === prefix + name).map(([id]) => id);
        let bytes = 0;
        for (const id of of) bytes += await files.size(id);
        const probe = await fenced(`${prefix}probe-${name}`, prefix + name);
        const room = Math.max(0, 100 - bytes);
        quotas = { session: undefined, user: 100 };
        expect(await outcomeOf(files.writeFile(probe, '/probe', 'x'.repeat(room + 1)))).toBe('EDQUOT');
        expect(await outcomeOf(files.writeFile(probe, '/probe', 'x'.repeat(room)))).toBe('done');
        quotas = { session: 80, user: 100 };
      }
    }), { numRuns: 100 });
  });
});
