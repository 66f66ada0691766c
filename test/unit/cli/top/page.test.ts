import fc from 'fast-check';
import { expect, test } from 'vitest';
import { drawPage, plainPage, type PageOptions } from '../../../../proxy/cli/top/page.js';
import { NO_PAINT, PAINT } from '../../../../proxy/cli/top/paint.js';
import type { View } from '../../../../proxy/cli/top/view.js';
import { sampleBackend, sampleSnapshot } from '../../observe/sample-snapshot.js';
import { NOW, sampleFleet, sampleOf } from './sample-fleet.js';

const VIEW: View = { sort: 'turns', reverse: false, show: 'both', offset: 0, help: false };

function options(change: Partial<PageOptions> = {}): PageOptions {
  return { rows: 24, columns: 130, paint: NO_PAINT, now: NOW, ...change };
}

/** What is seen; trailing spaces are not. */
function seen(lines: readonly string[]): string {
  return lines.map((line) => line.trimEnd()).join('\n');
}

/** The first column of the rows of the first table. */
function names(view: Partial<View>): string[] {
  const { lines } = drawPage(sampleOf(), { ...VIEW, ...view }, options());
  const first = lines.findIndex((line) => /^(SERVER|USER) /.test(line)) + 1;
  return lines.slice(first, lines.findIndex((line, n) => n > first && line === '')).map((line) => line.split(' ')[0]!);
}

test('a wide terminal shows everything', () => {
  expect(seen(drawPage(sampleOf(), VIEW, options({ rows: 17, columns: 170 })).lines)).toMatchInlineSnapshot(`
    "Skyport 9.8.7, up 1m 40s, ready
    clients 10, 8 logged in   sessions 20, 6 live, 6 loaded   turns 2 open, 3 queued, 2.0/s
    servers 1 up, 1 spare, 1 draining, 1 down   events 15/s   bytes 0 B/s in, 1.2 KiB/s out
    Skyport itself: cpu 12%, memory 140.0 MiB   store up   users 12, 2 active
    ! managed-1 keeps dying: exit code 1

    SERVER     USER    STATE         VERSION     AGE   RSS  CPU  CHILDREN  FILES  SESSIONS  LOADED  TURNS↓   PING  CREATE  DRIFT  PID  NOTE
    user-1     alice   up, draining  1.0.85   1h 30m  300M  25%         3     51         3       2       1  0.4ms    31ms   4.2x  501  latency, draining for 5s
    cli-1      static  up            1.0.85        -     -    -         -      -        12       4       0   12ms       -      -    -  -
    spare-1    spare   up            1.0.85      30s   24M    -         0     20         0       0       0  0.3ms       -      -  502  canary
    managed-1  shared  waiting       -             -     -    -         -      -         0       0       0      -       -      -    -  keeps dying

    USER   SERVER  SESSIONS  LOADED  TURNS↓  QUEUED  TURNS/MIN  ROLES
    alice  user-1         3       2       1       3          7  user, pro
    bob    shared         2       1       0       0          4  user
    carol  shared         4       0       0       0          0  user
    q quit  s sort  r reverse  u servers/users  h help  | by turns"
  `);
});

test('on 80 columns what matters least is left out, and no line is wider', () => {
  const { lines } = drawPage(sampleOf(), VIEW, options({ rows: 17, columns: 80 }));
  expect(seen(lines)).toMatchInlineSnapshot(`
    "Skyport 9.8.7, up 1m 40s, ready
    clients 10, 8 logged in   sessions 20, 6 live, 6 loaded   turns 2 open, 3 queue…
    servers 1 up, 1 spare, 1 draining, 1 down   events 15/s   bytes 0 B/s in, 1.2 K…
    Skyport itself: cpu 12%, memory 140.0 MiB   store up   users 12, 2 active
    ! managed-1 keeps dying: exit code 1

    SERVER     USER    STATE            AGE   RSS  SESSIONS  TURNS↓   PING  NOTE
    user-1     alice   up, draining  1h 30m  300M         3       1  0.4ms  latency…
    cli-1      static  up                 -     -        12       0   12ms  -
    spare-1    spare   up               30s   24M         0       0  0.3ms  canary
    managed-1  shared  waiting            -     -         0       0      -  keeps d…

    USER   SERVER  SESSIONS  LOADED  TURNS↓  QUEUED  TURNS/MIN  ROLES
    alice  user-1         3       2       1       3          7  user, pro
    bob    shared         2       1       0       0          4  user
    carol  shared         4       0       0       0          0  user
    q quit  s sort  r reverse  u servers/users  h help  | by turns"
  `);
});

test('40 columns are enough for names, states, sessions and turns', () => {
  expect(seen(drawPage(sampleOf(), { ...VIEW, show: 'servers' }, options({ rows: 14, columns: 48 })).lines)).toMatchInlineSnapshot(`
    "Skyport 9.8.7, up 1m 40s, ready
    clients 10, 8 logged in   sessions 20, 6 live, …
    servers 1 up, 1 spare, 1 draining, 1 down   eve…
    Skyport itself: cpu 12%, memory 140.0 MiB   sto…
    ! managed-1 keeps dying: exit code 1

    SERVER     STATE         SESSIONS  TURNS↓
    user-1     up, draining         3       1
    cli-1      up                  12       0
    spare-1    up                   0       0
    managed-1  waiting              0       0


    q quit  s sort  r reverse  u servers/users  h h…"
  `);
});

test('no page is higher or wider than its terminal', () => {
  const view = fc.record({
    sort: fc.constantFrom('turns', 'sessions', 'rss', 'age', 'latency'), reverse: fc.boolean(), show: fc.constantFrom('both', 'servers', 'users'),
    offset: fc.nat(20), help: fc.boolean(),
  }) as fc.Arbitrary<View>;
  const size = fc.record({ rows: fc.integer({ min: 1, max: 60 }), columns: fc.integer({ min: 1, max: 200 }) });
  fc.assert(fc.property(view, size, fc.string({ unit: 'grapheme' }), (some, { rows, columns }, name) => {
    const snapshot = sampleFleet({ backends: [sampleBackend({ name, version: name, user: name }), ...sampleFleet().backends] });
    const { lines } = drawPage(sampleOf(snapshot), some, options({ rows, columns }));
    expect(lines.length).toBeLessThanOrEqual(rows);
    for (const line of lines) expect([...line].length).toBeLessThanOrEqual(columns);
  }));
});

test.each<[Partial<View>, string[]]>([
  [{ sort: 'turns' }, ['user-1', 'cli-1', 'spare-1', 'managed-1']],
  [{ sort: 'sessions' }, ['cli-1', 'user-1', 'spare-1', 'managed-1']],
  [{ sort: 'rss' }, ['user-1', 'spare-1', 'cli-1', 'managed-1']],
  [{ sort: 'rss', reverse: true }, ['spare-1', 'user-1', 'cli-1', 'managed-1']],
  [{ sort: 'age' }, ['user-1', 'spare-1', 'cli-1', 'managed-1']],
  [{ sort: 'latency' }, ['cli-1', 'user-1', 'spare-1', 'managed-1']],
  [{ show: 'users', sort: 'turns' }, ['alice', 'bob', 'carol']],
  [{ show: 'users', sort: 'turns', reverse: true }, ['carol', 'bob', 'alice']],
  [{ show: 'users', sort: 'sessions' }, ['carol', 'alice', 'bob']],
  [{ show: 'users', sort: 'rss' }, ['alice', 'carol', 'bob']],
])('sorted by %j, those without a value last', (view, order) => {
  expect(names(view)).toEqual(order);
});

test('what it is sorted by is seen on any terminal', () => {
  const { lines } = drawPage(sampleOf(), { ...VIEW, sort: 'age' }, options({ columns: 60 }));
  expect(lines.find((line) => line.startsWith('SERVER'))).toContain('AGE↓');
  expect(lines.at(-1)).toContain('by age');
});

test('many servers scroll below their head, and users keep a third', () => {
  const backends = Array.from({ length: 100 }, (_, n) => sampleBackend({ name: `m-${n + 1}` }));
  const { lines, scroll } = drawPage(sampleOf(sampleFleet({ backends })), { ...VIEW, offset: 40 }, options({ rows: 30 }));
  const head = lines.findIndex((line) => line.startsWith('SERVER'));
  expect(lines[head + 1]).toMatch(/^m-41 /);
  expect(lines.filter((line) => line.startsWith('m-'))).toHaveLength(scroll.room);
  expect(lines.filter((line) => /^(alice|bob|carol) /.test(line))).toHaveLength(3);
  expect(lines.at(-1)).toContain(`41-${40 + scroll.room} of 100`);
  expect([scroll.offset, scroll.total]).toEqual([40, 100]);
});

test('an offset past the end shows the last rows', () => {
  const backends = Array.from({ length: 50 }, (_, n) => sampleBackend({ name: `m-${n + 1}` }));
  const { lines, scroll } = drawPage(sampleOf(sampleFleet({ backends })), { ...VIEW, show: 'servers', offset: 1_000 }, options());
  expect(lines.at(-2)).toMatch(/^m-50 /);
  expect(scroll.offset).toBe(50 - scroll.room);
});

test('colours have meanings, and are on the whole cell', () => {
  const { lines } = drawPage(sampleOf(), { ...VIEW, show: 'servers' }, options({ paint: PAINT }));
  const row = (name: string) => lines.find((line) => line.startsWith(name))!;
  expect(row('cli-1')).toMatch(/\u001b\[32m {2}up +\u001b\[0m/);
  expect(row('user-1')).toMatch(/\u001b\[33m {2}up, draining\u001b\[0m.*\u001b\[31m +4\.2x\u001b\[0m/);
  expect(row('managed-1')).toMatch(/\u001b\[31m {2}waiting +\u001b\[0m/);
  expect(lines.some((line) => line.startsWith('\u001b[31m! managed-1 keeps dying'))).toBe(true);
});

test('without colours no line has an escape sequence', () => {
  for (const line of drawPage(sampleOf(), VIEW, options()).lines) expect(line).not.toContain('\u001b');
});

test('nothing that comes from outside can steer the terminal', () => {
  const evil = '\u001b[2J\u001b]0;x\u0007\r\n\u009b1m\u202e';
  const snapshot = sampleFleet({
    version: evil, rollOverStopped: evil, store: { up: false, reason: evil },
    backends: [sampleBackend({ name: evil, version: evil, user: evil, state: evil, recycleReason: evil, lastError: evil, crashLoop: true })],
    users: [{ user: evil, server: evil, roles: [evil], sessions: 1, loaded: 1, turnsOpen: 1, turnsQueued: 0 }],
  });
  for (const columns of [40, 80, 200]) {
    const { lines } = drawPage(sampleOf(snapshot), VIEW, options({ columns, trouble: evil }));
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  }
  expect(plainPage(sampleOf(snapshot), VIEW, NOW).replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
});

test('before anything is known the page says who it is, and what is the matter', () => {
  const { lines } = drawPage(undefined, VIEW, options({ rows: 6, trouble: 'Skyport does not answer, trying again: gone' }));
  expect(seen(lines.slice(0, 2))).toBe('Skyport\nSkyport does not answer, trying again: gone');
});

test('trouble stands above the sample that is not new any more', () => {
  const { lines } = drawPage(sampleOf(), VIEW, options({ trouble: 'Skyport does not answer, trying again: gone' }));
  expect(lines[1]).toBe('Skyport does not answer, trying again: gone');
  expect(seen(lines)).toContain('user-1');
});

test('help takes the place of the tables', () => {
  const text = seen(drawPage(sampleOf(), { ...VIEW, help: true }, options()).lines);
  expect(text).toContain('reverse the order');
  expect(text).not.toContain('user-1');
});

test('warnings name what an operator should look at, three at most', () => {
  const dying = (n: number) => sampleBackend({ name: `m-${n}`, crashLoop: true, lastError: 'exit code 1' });
  const snapshot = sampleFleet({ backends: [1, 2, 3, 4].map(dying), store: { up: false, reason: 'no answer' }, line: { waiting: 2 } });
  const { lines } = drawPage(sampleOf(snapshot), VIEW, options());
  expect(lines.filter((line) => line.startsWith('!'))).toEqual([
    '! the store is away: no answer', '! m-1 keeps dying: exit code 1', '! m-2 keeps dying: exit code 1', '! and 3 more: skyport status',
  ]);
  expect(lines[2]).toContain('; 2 wait for one');
});

test('a plain page has all rows, whole', () => {
  const backends = Array.from({ length: 100 }, (_, n) => sampleBackend({ name: `managed-server-with-a-long-name-${n + 1}` }));
  const text = plainPage(sampleOf(sampleSnapshot({ backends })), VIEW, NOW);
  expect(text.match(/^managed-server-with-a-long-name-\d+ .*4242/gm)).toHaveLength(100);
});

test('a Skyport that tells nothing of users and usage has dashes', () => {
  expect(plainPage(sampleOf(sampleSnapshot()), { ...VIEW, show: 'servers' }, NOW)).toMatchInlineSnapshot(`
    "Skyport 9.8.7, up 1m 40s, ready
    clients 10, 8 logged in   sessions 20, 6 live, 3 loaded   turns 2 open, 0 queued, -/s
    servers 1 up   events -/s   bytes -/s in, -/s out
    Skyport itself: cpu -, memory -   store up   users 0, 0 active

    SERVER  USER    STATE  VERSION  AGE  RSS  CPU  CHILDREN  FILES  SESSIONS  LOADED  TURNS↓   PING  CREATE  DRIFT   PID  NOTE
    cli-1   shared  up     1.0.85     -    -    -         -      -         7       3       2  0.3ms       -      -  4242  -"
  `);
});
