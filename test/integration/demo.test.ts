import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { refusalOf } from '../../proxy/demo/cast.js';
import { BrokenStory, Teller } from '../../proxy/demo/teller.js';
import { leadsGroup } from '../support/process-group.js';
import { scopeOfEachTest } from '../support/scope.js';
import { removeTemporary, temporary } from '../support/temporary.js';

const MAIN = fileURLToPath(new URL('../../dist/proxy/main.js', import.meta.url));
const scope = scopeOfEachTest();

interface Ended {
  readonly code: number | null;
  readonly lines: readonly string[];
  /** What is left in its temporary directory. */
  readonly left: readonly string[];
}

/** Runs the demo as a user would. @param onLine may interrupt it */
async function demo(onLine: (line: string, interrupt: () => void) => void = () => undefined): Promise<Ended> {
  const directory = temporary('sp-demo-');
  scope.after(() => removeTemporary(directory));
  const child = spawn(process.execPath, [MAIN, 'demo'], {
    detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: directory },
  });
  leadsGroup(child);
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      lines.push(line);
      onLine(line, () => child.kill('SIGINT'));
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, lines, left: readdirSync(directory) };
}

function servers(lines: readonly string[]): number[] {
  return lines.flatMap((line) => Number(/process (\d+)/.exec(line)?.[1] ?? NaN)).filter((pid) => !Number.isNaN(pid));
}

/** What alice has said, as the model got it with her last prompt. */
function prompts(lines: readonly string[]): string[] {
  const from = lines.findLastIndex((line) => line.endsWith('the prompts of alice that the model got:')) + 1;
  const said = lines.slice(from).map((line) => /^ +\d\. (.*)/.exec(line)?.[1]);
  return said.slice(0, said.indexOf(undefined)).map(String);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it('tells its whole story, ends by itself with 0 and leaves nothing behind', async () => {
  const { code, lines, left } = await demo();
  const text = lines.join('\n');
  expect(code, text).toBe(0);
  for (const line of [
    /ok {2}alice and bob are connected to 127\.0\.0\.1:\d+, each with a token/,
    /ok {2}alice's conversation has its history, and only its own/,
    /ok {2}alice's sessions are on managed-\d and managed-\d, bob's on managed-\d and managed-\d/,
    /ok {2}alice's listSessions\(\) has her two sessions/,
    /bob +is told: Session not found for sessionId: /,
    /ok {2}an id that does not exist gets the very same answer/,
    /kill -9 \d+: managed-1, the server of alice's turn, is gone/,
    /ok {2}\d+ ms later managed-[23] has alice's session, and asks the model for the answer once more/,
    /ok {2}the same 7 messages as the first time: nothing is lost, and no prompt is there twice/,
    /model +Well, about roses: it begins quietly, it goes on for a while, and it ends well\./,
    /ok {2}alice's turn was completed, to the last word; her program saw no error/,
    /ok {2}bob's turn, on another server, did not notice/,
    /ok {2}nobody was disconnected/,
    /model +You told me: the roses are by the wall; the tulips are in the shade\./,
    /ok {2}the model got all 9 messages of it/,
    /model +You told me: the soup needs more salt\./,
    /ok {2}bob's idle session was on the dead server, too; its next turn took \d+ ms/,
    /ok {2}nothing of a session is on the disk of any server/,
    /ok {2}the histories of all 4 sessions are in Skyport's store/,
    /managed-1 +up +\d+ +1 /,
    /ok {2}three servers are up, one of them started anew; four sessions, none lost/,
    /^Done: \d+ checks held/m,
  ]) expect(text).toMatch(line);
  expect(prompts(lines)).toEqual([
    'Remember: the roses are by the wall.', 'What do you remember?', 'Remember: the tulips are in the shade.', 'Tell me about roses.',
    'What else do you remember?',
  ]);
  expect(text).not.toContain('\u001b');
  expect(left).toEqual([]);
  expect(servers(lines)).toHaveLength(3);
  expect(servers(lines).filter(isAlive)).toEqual([]);
});

it('stops everything and removes its directory when it is interrupted', async () => {
  const { code, lines, left } = await demo((line, interrupt) => {
    if (line.includes('are connected to')) interrupt();
  });
  expect(code, lines.join('\n')).toBe(130);
  expect(lines.join('\n')).not.toContain('Done');
  expect(left).toEqual([]);
  expect(servers(lines)).toHaveLength(3);
  expect(servers(lines).filter(isAlive)).toEqual([]);
});

it('breaks off at a check that does not hold and tells what was found', () => {
  const lines: string[] = [];
  const tell = new Teller({ write: (line) => lines.push(line), colour: false });
  tell.check(true, 'the sky is up');
  expect(() => tell.check(false, 'the port is down', { port: 'up' })).toThrow(new BrokenStory('the port is down\nfound: {"port":"up"}'));
  expect(lines).toEqual(['   ok  the sky is up']);
});

it('breaks off when a call that should be refused is not', async () => {
  await expect(refusalOf('bob\'s resume', Promise.resolve())).rejects.toThrow(new BrokenStory('bob\'s resume was not refused'));
  expect(await refusalOf('bob\'s resume', Promise.reject(Object.assign(new Error('no'), { data: { retryable: true } })))).toEqual({
    message: 'no', data: { retryable: true },
  });
});
