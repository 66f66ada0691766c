/** A managed server is killed with everything on it: a hundred sessions, thirty of them in the middle of a turn. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { defineTool } from '@github/copilot-sdk';
import { expect, it } from 'vitest';
import { adminCall } from '../../proxy/admin/client.js';
import { gate } from '../support/failover.js';
import { signalGroup } from '../support/process-group.js';
import { scopeOfEachTest } from '../support/scope.js';
import { Recording, turn, type CopilotSession } from '../support/sdk.js';
import { Site } from '../support/site.js';

const scope = scopeOfEachTest();

const SESSIONS = 100;
const KINDS = ['streams', 'calls', 'asks', 'runs', 'between'] as const;
const OF_EACH = 6;

interface Seat {
  readonly session: CopilotSession;
  readonly heard: Recording;
  readonly kind: (typeof KINDS)[number] | 'idle';
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

it('a managed server that is killed with 100 sessions, 30 in a turn, costs no client its connection, no message and no tool', async () => {
  const site = await Site.start(scope, {
    managed: 2, config: { sessions: { state: 'skyport' }, limits: { sessions_per_user: 1_000 }, routing: { policy: 'least_sessions' } },
  });
  await site.until(({ backends }) => backends.filter(({ state }) => state === 'up').length === 2);
  // All of them on one of the two.
  const socket = path.join(site.skyport.directory, 'data', 'skyport.sock');
  await adminCall(socket, 'POST', 'drain', { name: 'managed-2' });
  const workingDirectory = site.directory();
  const calls: string[] = [];
  const answered = gate();
  const made = (id: string): string => path.join(workingDirectory, `${id}.txt`);
  const clients = Array.from({ length: 10 }, () => site.client());
  const seats = await Promise.all(Array.from({ length: SESSIONS }, async (_, at): Promise<Seat> => {
    const kind = at < KINDS.length * OF_EACH ? KINDS[at % KINDS.length]! : 'idle';
    const slow = defineTool('slow', {
      skipPermission: true,
      handler: async () => {
        calls.push(`s${at}`);
        await answered.opened;
        return 'done';
      },
    });
    const session = await clients[at % clients.length]!.createSession(site.session({
      sessionId: `s${at}`, streaming: true, workingDirectory, tools: [slow],
      onPermissionRequest: async () => {
        if (kind === 'asks') await answered.opened;
        return { kind: 'approve-once' };
      },
    }));
    await turn(session, `remember s${at}`);
    return { session, heard: new Recording(session), kind };
  }));
  await adminCall(socket, 'POST', 'undrain', { name: 'managed-2' });
  const busy = seats.filter(({ kind }) => kind !== 'idle');
  const command = (id: string, then: string): string => `[[tool:bash {"command":"echo made >> ${id}.txt${then}","description":"make"}]]`;
  for (const { session, heard, kind } of busy) {
    const id = session.sessionId;
    await session.send({
      streams: `begin ${id} [[stream:3]][[hold:out]]`, calls: `begin ${id} [[tool:slow]]`, asks: `begin ${id} ${command(id, '')}`,
      runs: `begin ${id} ${command(id, '; sleep 60')}`, between: `begin ${id}`,
    }[kind as (typeof KINDS)[number]]);
    if (kind === 'streams') await heard.until('assistant.message_delta');
    if (kind === 'calls') await heard.until('external_tool.requested');
    if (kind === 'asks') await heard.until('permission.requested');
    if (kind === 'runs') await heard.until('permission.completed');
  }
  while (busy.some(({ session, kind }) => kind === 'runs' && !existsSync(made(session.sessionId)))) await new Promise((resolve) => setTimeout(resolve, 10));
  const dead = (await site.backend('managed-1'))!;
  expect(dead.sessionsAttached).toBe(SESSIONS);
  const begun = performance.now();
  signalGroup(dead.pid!, 'SIGKILL');
  site.model.release('out');
  answered.open();
  await Promise.all(busy.map(({ heard }) => heard.until('session.idle')));
  const recovered = performance.now() - begun;
  const again = async ({ session }: Seat): Promise<number> => {
    const sent = performance.now();
    await turn(session, `again ${session.sessionId}`);
    return performance.now() - sent;
  };
  const idle = seats.filter(({ kind }) => kind === 'idle');
  const oneByOne: number[] = [];
  for (const seat of idle.slice(0, 10)) oneByOne.push(await again(seat));
  const atOnce = await Promise.all(idle.slice(10).map(again));
  const told = (values: readonly number[]): string => `median ${median(values).toFixed(0)} ms, last ${Math.max(...values).toFixed(0)} ms`;
  console.log(`30 turns over ${recovered.toFixed(0)} ms after the kill; next turns of idle sessions: one by one ${told(oneByOne)}; 60 at once ${told(atOnce)}`);

  expect(site.skyport.log.filter(({ event }) => event === 'client_closed')).toEqual([]);
  for (const { session, heard, kind } of seats) {
    const id = session.sessionId;
    expect(heard.of('session.error'), id).toEqual([]);
    const texts = (await session.getEvents()).flatMap((event) => (event.type === 'user.message' ? [event.data.content] : []));
    expect(texts.map((text) => text.split(' ')[0]), id).toEqual(['remember', kind === 'idle' ? 'again' : 'begin']);
    if (kind === 'calls') expect(heard.text, id).toBe('tools said: done');
    // An answer that was on its way to the dead server may have been heard there: then the command is not begun again.
    const ran = kind !== 'asks' || existsSync(made(id));
    if ((kind === 'asks' && ran) || kind === 'runs') expect(readFileSync(made(id), 'utf8'), id).toBe('made\n');
    if (kind === 'runs' || !ran) expect(heard.text, id).toContain('interrupted');
    if (kind === 'streams') expect(heard.text, id).toBe('d0 d1 d2 ');
    if (kind === 'between') expect(heard.text, id).toBe(`answer 2: begin ${id}`);
  }
  expect(calls.sort()).toEqual(busy.filter(({ kind }) => kind === 'calls').map(({ session }) => session.sessionId).sort());
}, 180_000);
