/** A backend in front of a fake CLI server, as the pool would run it, and what it tells. */
import net, { type Socket } from 'node:net';
import { Backend, type BackendSettings } from '../../../proxy/backends/backend.js';
import type { Link } from '../../../proxy/backends/link.js';
import { PLAIN, profileOf, type Profile } from '../../../proxy/backends/profile.js';
import type { SessionFileSystem } from '../../../proxy/backends/provider.js';
import type { Refusal } from '../../../proxy/protocol/errors.js';
import { Attachment } from '../../../proxy/sessions/attachment.js';
import type { Session } from '../../../proxy/sessions/session.js';
import { FakeServer, type FakeServerOptions } from '../../support/fake-server.js';
import { freePort } from '../../support/ports.js';
import type { Scope } from '../../support/scope.js';
import { FakeClient } from '../sessions/cast.js';
import { until } from '../wire/sockets.js';

/** Nothing here is probed by the clock unless a test asks for it: long intervals, long time-outs. */
export const SETTINGS: BackendSettings = {
  weight: 1,
  backup: false,
  health: {
    interval: 3_600_000, timeout: 20_000, rise: 1, fall: 1, slowStart: 0,
    ejection: { base: 1_000, max: 1_000, errors: 0 },
  },
  links: { base: 2, max: 4 },
  maxFrame: 1 << 24,
};

export class News {
  readonly downs: { readonly reason: string; readonly hung: boolean }[] = [];
  readonly spent: string[] = [];
  readonly broadcasts: { readonly method: string; readonly control: boolean }[] = [];
  ups = 0;
}

export interface Service {
  readonly backend: Backend;
  readonly news: News;
  readonly fake: FakeServer;
}

export function newBackend(settings: Partial<BackendSettings> = {}, files?: SessionFileSystem): { backend: Backend; news: News } {
  const news = new News();
  const backend = new Backend('b1', 'static', { ...SETTINGS, ...settings }, {
    onBroadcast: (one, link, _frame, { method }) => news.broadcasts.push({ method, control: one.isControl(link) }),
    onUp: () => news.ups++,
    mayEject: () => true,
    onDown: (_backend, reason, hung) => news.downs.push({ reason, hung }),
    onSpent: (_backend, reason) => news.spent.push(reason),
  }, files);
  return { backend, news };
}

/** A backend that is up. @param files makes Skyport its file system */
export async function serve(
  scope: Scope, settings: Partial<BackendSettings> = {}, options: FakeServerOptions = {}, files?: SessionFileSystem,
): Promise<Service> {
  // A port that nobody else gets while the server is down.
  const fake = scope.own(await FakeServer.start({ port: await freePort(), ...options }));
  const { backend, news } = newBackend(settings, files);
  scope.after(() => backend.close('test over'));
  backend.setAddress({ host: '127.0.0.1', port: fake.port, token: options.token }, 'configured');
  // The connection on which the version was probed goes a moment later.
  await until(() => backend.up && fake.open === 1);
  return { backend, news, fake };
}

/** Attaches one more client to a session, as the path does. */
export async function attachTo(backend: Backend, session: Session, profile: Profile = PLAIN): Promise<Link | string> {
  const attachment = new Attachment(session, new FakeClient());
  const shared = session.attachments.some((one) => one.live);
  const found = await backend.links.acquire(profile, session.id, shared, (link) => {
    attachment.take(link);
    session.add(attachment);
  });
  if (!attachment.link) return 'name' in found ? (found as Refusal).name : JSON.stringify(found);
  attachment.attached();
  return attachment.link as Link;
}

export function profile(params: Record<string, unknown>): Profile {
  return profileOf(params) as Profile;
}

/** What `borrow` and `acquire` gave that was expected to be a link. */
export function linkOf(found: object | string): Link {
  if (typeof found === 'string' || !('transport' in found)) throw new Error(`no link: ${JSON.stringify(found)}`);
  return found as Link;
}

/** Stands before a server and closes every connection on which a header line comes that it does not know. */
export async function strictDoor(scope: Scope, port: number): Promise<number> {
  const sockets = new Set<Socket>();
  const door = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const [one, other] of [[near, far], [far, near]] as const) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => other.destroy());
    }
    near.on('data', (chunk: Buffer) => {
      if (chunk.includes('A:1\r\n')) near.destroy();
      else far.write(chunk);
    });
    far.pipe(near);
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  scope.after(() => {
    for (const socket of sockets) socket.destroy();
    door.close();
  });
  return (door.address() as net.AddressInfo).port;
}
