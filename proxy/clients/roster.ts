/**
 * Everybody who is connected, by user, so that what concerns one user reaches his clients only.
 */
import type { Backend } from '../backends/backend.js';
import type { Link } from '../backends/link.js';
import type { Principal } from '../identity/principal.js';
import type { Session } from '../sessions/session.js';
import { Sharing } from '../sessions/shares.js';
import type { Frame } from '../wire/frame.js';
import { addTraffic, noTraffic, type Traffic } from '../wire/traffic.js';
import type { Client } from './client.js';

const NONE = new Sharing();

export class Roster {
  private readonly clients = new Set<Client>();
  private readonly byUser = new Map<string, Set<Client>>();
  /** Principals that speak for many users: whose sessions they may see is asked each time. */
  private readonly services = new Set<Client>();
  /** Other Skyports: like a CLI server, this one tells each of their connections everything. */
  private readonly peers = new Set<Client>();
  private known = 0;
  private past = noTraffic();

  /** @param sharing what is in force now */
  constructor(private readonly sharing: () => Sharing = () => NONE) {}

  get size(): number {
    return this.clients.size;
  }

  /** Without other Skyports. */
  get clientCount(): number {
    return this.clients.size - this.peers.size;
  }

  get authenticatedCount(): number {
    return this.known;
  }

  all(): IterableIterator<Client> {
    return this.clients.values();
  }

  add(client: Client): void {
    this.clients.add(client);
  }

  authenticated(client: Client, principal: Principal): void {
    this.known++;
    if (client.isPeer) {
      this.peers.add(client);
      return;
    }
    if (principal.sessionPattern) {
      this.services.add(client);
      return;
    }
    let clients = this.byUser.get(principal.user);
    if (!clients) this.byUser.set(principal.user, (clients = new Set()));
    clients.add(client);
  }

  remove(client: Client): void {
    if (!this.clients.delete(client)) return;
    addTraffic(this.past, client.transport);
    if (!client.principal) return;
    this.known--;
    this.services.delete(client);
    this.peers.delete(client);
    const clients = this.byUser.get(client.principal.user);
    clients?.delete(client);
    if (clients?.size === 0) this.byUser.delete(client.principal.user);
  }

  /**
   * Passes a lifecycle notification to the clients of the session's owner and of those with whom it is shared. A server sends it to
   * every connection; each client gets the copy of its home link, in order with its answers, and
   * one that has no link there gets the copy of the control link.
   */
  lifecycle(session: Session, backend: Backend, link: Link, frame: Frame): void {
    const tell = (client: Client): void => {
      const home = client.home(backend);
      if (home ? home === link : backend.isControl(link)) client.deliver(frame);
    };
    // What another Skyport tells it tells everybody.
    if (!session.foreign) for (const peer of this.peers) tell(peer);
    for (const client of this.concerned(session)) tell(client);
  }

  /** Telemetry goes to those who asked for it at `connect`, of their own sessions only. */
  telemetry(session: Session, backend: Backend, link: Link, frame: Frame): void {
    for (const client of this.concerned(session)) {
      if (client.profile.telemetry && client.home(backend) === link) client.deliver(frame);
    }
    // Its clients' own wishes are in the profile of each of its connections.
    for (const peer of this.peers) if (peer.profile.telemetry && peer.home(backend) === link) peer.deliver(frame);
  }

  /** Janitor: ends connections that do not say who they are. @param timeout milliseconds */
  endHandshakes(now: number, timeout: number): void {
    for (const client of [...this.clients]) {
      if (!client.principal && client.age(now) > timeout) client.leave('SKYPORT_HANDSHAKE_TIMEOUT');
    }
  }

  /** Somebody is there who would lose something: a client, or one of another Skyport that is attached here. */
  get isNeeded(): boolean {
    if (this.clientCount > 0) return true;
    for (const peer of this.peers) if (peer.attachments.size > 0) return true;
    return false;
  }

  /** Tells the other Skyports. @param json a notification */
  tellPeers(json: string): void {
    for (const peer of this.peers) peer.deliverText(json);
  }

  traffic(): Traffic {
    const sum = { ...this.past };
    for (const client of this.clients) addTraffic(sum, client.transport);
    return sum;
  }

  private *concerned(session: Session): IterableIterator<Client> {
    if (this.sharing().shared(session)) {
      // Roles are the clients', and change with a reload: everybody is asked.
      for (const client of this.clients) if (!client.isPeer && client.concerns(session)) yield client;
      return;
    }
    yield* this.byUser.get(session.owner) ?? [];
    for (const client of this.services) if (client.concerns(session)) yield client;
  }
}
