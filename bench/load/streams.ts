/** Events of many sessions: at a rate, or as fast as they are taken. */
import type { Backend, BackendSession, Connection } from './backend.js';
import { EventFrame } from './frames.js';
import { now } from './orders.js';

export interface StreamOrder {
  /** The sessions with these numbers, in turns. */
  readonly first: number;
  readonly count: number;
  readonly seconds: number;
  /** Bytes of an event's body. */
  readonly bytes: number;
  /** Events a second of all of them; left out: as fast as it goes. */
  readonly rate?: number;
  /** As fast as it goes, each connection for itself and in large blocks, instead of all sessions in step. */
  readonly bulk?: boolean;
  /** Events that are too many for the target. */
  readonly most?: number;
  /** When the first event is due (`now`). */
  readonly start: number;
}

export interface StreamReport {
  /** Events of each session since it was created. */
  readonly sent: readonly number[];
  /** Events of this stream. */
  readonly events: number;
  /** Milliseconds that the latest event was behind its time. */
  readonly behind: number;
}

const BLOCK = 64 * 1024;

export async function stream(backend: Backend, order: StreamOrder): Promise<StreamReport> {
  const sessions = backend.sessions.slice(order.first, order.first + order.count);
  for (const session of sessions) {
    if (session.event.bytes !== sizeOf(order.bytes)) session.event = renewed(session, order.bytes, backend.tails);
  }
  await later(order.start - now());
  const report = (events: number, behind = 0): StreamReport => ({ sent: backend.sessions.map(({ sent }) => sent), events, behind });
  if (order.rate === undefined) return report(await (order.bulk === true ? fill : inStep)(lanesOf(sessions), order));
  const { events, behind } = await pace(sessions, order, order.rate);
  return report(events, behind);
}

/** Each event in a write of its own, at its time, as a server does whose sessions know nothing of each other. */
async function pace(sessions: readonly BackendSession[], { start, seconds }: StreamOrder, rate: number): Promise<{ events: number; behind: number }> {
  const total = Math.floor(rate * seconds);
  let behind = 0;
  let next = 0;
  while (next < total) {
    const at = now();
    const due = Math.min(total, Math.floor(((at - start) * rate) / 1000) + 1);
    if (next < due) behind = Math.max(behind, at - start - (next * 1000) / rate);
    for (; next < due; next++) {
      const session = sessions[next % sessions.length]!;
      const { socket } = session.connection;
      const { event } = session;
      session.sent++;
      if (event.tail.length < BLOCK) {
        const bytes = Buffer.allocUnsafe(event.bytes);
        event.put(bytes, 0);
        socket.write(bytes);
      } else {
        socket.cork();
        socket.write(event.takeHead());
        socket.write(event.tail);
        socket.uncork();
      }
    }
    if (next < total) await later(Math.max(1, start + (next * 1000) / rate - now()));
  }
  return { events: total, behind };
}

/** Sessions by the connection that has them. */
type Lane = readonly [connection: Connection, sessions: readonly BackendSession[]];

/** What a connection may have beyond what the kernel took before its sessions have to wait. */
const BEHIND = 256 * 1024;

/** All sessions stream at one time: each has an event, then each has its next one. */
async function inStep(lanes: readonly Lane[], { start, seconds, most = Infinity }: StreamOrder): Promise<number> {
  let events = 0;
  while (now() - start < seconds * 1000 && events < most) {
    let busy = 0;
    for (const [{ socket }, sessions] of lanes) {
      if (socket.destroyed || socket.writableLength > BEHIND) busy++;
      else {
        socket.write(block(sessions, 0, sessions.length));
        events += sessions.length;
      }
    }
    await (busy === lanes.length ? later(1) : new Promise(setImmediate));
  }
  return events;
}

/** Each connection is filled as long as it takes what it gets. */
async function fill(lanes: readonly Lane[], { start, seconds, most = Infinity }: StreamOrder): Promise<number> {
  let events = 0;
  await Promise.all(lanes.map(async ([{ socket }, sessions]) => {
    const count = Math.floor(BLOCK / sessions[0]!.event.bytes);
    for (let turn = 0; now() - start < seconds * 1000 && events < most && !socket.destroyed; turn += count) {
      events += count;
      await new Promise<void>((resolve) => socket.write(block(sessions, turn, count), () => setImmediate(resolve)));
    }
  }));
  return events;
}

/** The next `count` events of sessions in turns. */
function block(sessions: readonly BackendSession[], turn: number, count: number): Buffer {
  const { bytes } = sessions[0]!.event;
  const all = Buffer.allocUnsafe(bytes * count);
  for (let i = 0; i < count; i++) {
    const session = sessions[(turn + i) % sessions.length]!;
    session.event.put(all, i * bytes);
    session.sent++;
  }
  return all;
}

function lanesOf(sessions: readonly BackendSession[]): Lane[] {
  const lanes = new Map<Connection, BackendSession[]>();
  for (const session of sessions) {
    const others = lanes.get(session.connection);
    if (others) others.push(session);
    else lanes.set(session.connection, [session]);
  }
  return [...lanes];
}

function sizeOf(body: number): number {
  return body + `Content-Length: ${body}\r\n\r\n`.length;
}

/** The session's events have another size from now on; their places go on. */
function renewed(session: BackendSession, bytes: number, tails: Map<number, Buffer>): EventFrame {
  const event = new EventFrame(session.id, bytes, tails);
  for (let i = 0; i < session.sent; i++) event.skip();
  return event;
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
