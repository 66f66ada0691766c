import { expect, test } from 'vitest';
import { live } from '../../../../proxy/cli/top/live.js';
import type { View } from '../../../../proxy/cli/top/view.js';
import type { Snapshot } from '../../../../proxy/observe/snapshot.js';
import { scopeOfEachTest } from '../../../support/scope.js';
import { until } from '../../wire/sockets.js';
import { FakeTty } from './fake-tty.js';
import { NOW, sampleFleet } from './sample-fleet.js';

const scope = scopeOfEachTest();
const VIEW: View = { sort: 'turns', reverse: false, show: 'both', offset: 0, help: false };

interface Running {
  readonly tty: FakeTty;
  readonly ended: Promise<number>;
  asked: number;
  lastSignal: AbortSignal | undefined;
  answer: () => Snapshot | Promise<Snapshot>;
}

function start(answer: Running['answer'] = () => sampleFleet(), tty = new FakeTty(24, 120)): Running {
  const running = { tty, asked: 0, answer } as { -readonly [K in keyof Running]: Running[K] };
  running.ended = live(tty, {
    interval: 1, view: VIEW, now: () => NOW,
    ask: async (signal) => {
      running.asked++;
      running.lastSignal = signal;
      return await running.answer();
    },
  });
  running.ended.catch(() => undefined);
  scope.after(() => tty.listeners?.ended(0));
  return running;
}

async function shown(running: Running, text: string): Promise<void> {
  await until(() => running.tty.screen.text.includes(text));
}

test.each([['q', 0], ['\u0003', 0]])('typing %j leaves, and the terminal is as it was', async (typed, code) => {
  const running = start();
  await shown(running, 'user-1');
  expect(running.tty.isRestored).toBe(false);
  running.tty.listeners!.typed(typed);
  expect(await running.ended).toBe(code);
  expect([running.tty.isRestored, running.tty.listeners]).toEqual([true, undefined]);
});

test('a signal ends it with the code of the signal, and the terminal is as it was', async () => {
  const running = start();
  await shown(running, 'user-1');
  running.tty.listeners!.ended(143);
  expect([await running.ended, running.tty.isRestored]).toEqual([143, true]);
});

test('a process that exits for any other reason restores the terminal on its way', async () => {
  const running = start();
  await shown(running, 'user-1');
  running.tty.listeners!.exiting();
  expect(running.tty.isRestored).toBe(true);
});

test('an error that nobody expected is thrown after the terminal was restored', async () => {
  const running = start();
  await shown(running, 'user-1');
  Object.defineProperty(running.tty, 'rows', { get: () => { throw new Error('broken'); } });
  await expect(running.ended).rejects.toThrow('broken');
  expect(running.tty.isRestored).toBe(true);
});

test('leaving does not wait for an answer', async () => {
  const running = start(() => new Promise(() => undefined));
  await until(() => running.asked === 1);
  running.tty.listeners!.typed('q');
  expect(await running.ended).toBe(0);
  expect(running.lastSignal!.aborted).toBe(true);
});

test('after the end nothing is written, whatever is answered late', async () => {
  let answer: (snapshot: Snapshot) => void = () => undefined;
  const running = start(() => new Promise((resolve) => { answer = resolve; }));
  await until(() => running.asked === 1);
  running.tty.listeners!.typed('q');
  await running.ended;
  const { length } = running.tty.written;
  answer(sampleFleet());
  await new Promise(setImmediate);
  expect([running.tty.written.length, running.asked]).toEqual([length, 1]);
});

test('it asks again and again, and shows what is new', async () => {
  const running = start();
  await shown(running, 'Skyport 9.8.7');
  running.answer = () => sampleFleet({ version: '10.0.0' });
  await shown(running, 'Skyport 10.0.0');
  expect(running.asked).toBeGreaterThan(1);
});

test('a Skyport that does not answer is said to, the last sample stays, and it comes back by itself', async () => {
  const running = start();
  await shown(running, 'user-1');
  running.answer = () => { throw new Error('nobody answers'); };
  await shown(running, 'Skyport does not answer, trying again: nobody answers');
  expect(running.tty.screen.text).toContain('user-1');
  running.answer = () => sampleFleet({ version: '10.0.0' });
  await shown(running, 'Skyport 10.0.0');
  expect(running.tty.screen.text).not.toContain('does not answer');
});

test('keys change the view at once, without a new sample', async () => {
  const running = start();
  await shown(running, 'user-1');
  running.answer = () => new Promise(() => undefined);
  running.tty.listeners!.typed('uu');
  expect(running.tty.screen.text).toContain('alice');
  expect(running.tty.screen.text).not.toContain('cli-1');
  running.tty.listeners!.typed('sr');
  expect(running.tty.screen.lines.at(-1)).toContain('by sessions, reversed');
  running.tty.listeners!.typed('h');
  expect(running.tty.screen.text).toContain('reverse the order');
});

test('a terminal of another size is filled anew', async () => {
  const running = start();
  await shown(running, 'user-1');
  const { cleared } = running.tty.screen;
  running.tty.resize(12, 50);
  expect(running.tty.screen.cleared).toBe(cleared + 1);
  expect(running.tty.screen.lines).toHaveLength(12);
  for (const line of running.tty.screen.lines) expect(line.length).toBeLessThanOrEqual(50);
});

test('Ctrl-Z gives the terminal back until the shell continues it', async () => {
  const running = start();
  await shown(running, 'user-1');
  running.tty.listeners!.typed('\u001a');
  expect([running.tty.suspended, running.tty.isRestored]).toEqual([1, true]);
  running.tty.listeners!.continued();
  expect(running.tty.isRaw).toBe(true);
  await shown(running, 'user-1');
});

test('where nothing can stop it, it goes on after Ctrl-Z by itself', async () => {
  const running = start();
  await shown(running, 'user-1');
  running.tty.listeners!.typed('\u001a');
  await until(() => running.tty.screen.alternate);
  await shown(running, 'user-1');
});

test('it writes no sequence but those of the screen', async () => {
  const tty = new FakeTty(24, 120);
  tty.colour = true;
  const running = start(undefined, tty);
  await shown(running, 'user-1');
  running.tty.listeners!.typed('uhsrq');
  await running.ended;
  expect(tty.screen.unknown).toEqual([]);
});
