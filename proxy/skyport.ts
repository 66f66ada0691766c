/**
 * Puts a running Skyport together from a configuration, and takes it apart again. The only place
 * that knows everyone.
 */
import { mkdir } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { parseAddress } from '../config/address.js';
import { changes } from '../config/changes.js';
import { formatProblem } from '../config/problem.js';
import type { SkyportConfig } from '../config/schema.js';
import { ConfigWatcher, type Reload } from '../config/watch.js';
import type { AdminActions, ReloadReport, SessionFilter, SessionRow } from './admin/actions.js';
import { createAdmin, type AdminServer } from './admin/server.js';
import { PLAIN } from './backends/profile.js';
import { Pool } from './backends/pool.js';
import { channels } from './channels.js';
import { Admission } from './clients/admission.js';
import { createUpgrade, listenHttp, listenTcp, type Bound } from './clients/listeners.js';
import { broadcast } from './clients/broadcast.js';
import { Mover } from './clients/moving.js';
import { Recovery } from './clients/recovery.js';
import { Roster } from './clients/roster.js';
import type { Services } from './clients/services.js';
import { storedIn } from './clients/stored.js';
import { Writers } from './clients/writers.js';
import { reviewAll } from './clients/sharing.js';
import { Fleet } from './fleet/supervisor.js';
import { isRefusal } from './protocol/errors.js';
import { OPENABLE_RULES } from './guard/rules.js';
import { Authenticator } from './identity/authenticator.js';
import { LoginThrottle } from './identity/throttle.js';
import type { TokenTable } from './identity/tokens-file.js';
import { Janitor } from './janitor.js';
import { createHttp } from './observe/http.js';
import { Log } from './observe/log.js';
import { Membership } from './membership.js';
import { Metrics } from './observe/metrics.js';
import type { Snapshot } from './observe/snapshot.js';
import { move, prune, setDraining, tellDeleted } from './orders.js';
import { packageVersion } from './package.js';
import { describe, drainReport, sessionRows } from './report.js';
import { managedServers, RollingRestart } from './restart.js';
import { Directory } from './sessions/directory.js';
import { missed } from './sessions/missed.js';
import { expireNeverUsed } from './sessions/never-used.js';
import { Places } from './sessions/places.js';
import { Sharing } from './sessions/shares.js';
import { fleetOptions, guardOf, managedSettings, peerSettings, quotasOf, readTokens, sharingRules, staticBackends, tokenFiles, writerRules } from './settings.js';
import type { Session } from './sessions/session.js';
import { share, unshare } from './sharing.js';
import { StateServer } from './state/server.js';
import { holdsTurn, isDetaching } from './stopping.js';
import { advertised, openStores, type Stores } from './stores.js';

export class Skyport implements AdminActions {
  private readonly metrics: Metrics;
  private readonly membership: Membership | undefined;
  private readonly directory: Directory;
  private readonly places: Places;
  private readonly pool: Pool;
  private readonly services: Services;
  private readonly fleet: Fleet;
  private readonly mover: Mover;
  private readonly rolling: RollingRestart;
  private readonly janitor: Janitor;
  private readonly watcher: ConfigWatcher;
  private readonly startedAt = Date.now();
  /** However the process ends short of kill -9, its servers do not outlive it. */
  private readonly onExit = (): void => this.fleet.killNow();
  private bound: Bound[] = [];
  private admin: AdminServer | undefined;
  private ready = false;
  private stopping: Promise<void> | undefined;
  readonly share: AdminActions['share'] = (request) => share(this.services, request);
  readonly unshare: AdminActions['unshare'] = (request) => unshare(this.services, request);
  readonly drain: AdminActions['drain'] = (name) => setDraining(this.services, name, true) ?? drainReport(this.snapshot(), name);
  readonly undrain: AdminActions['undrain'] = (name) => setDraining(this.services, name, false) ?? drainReport(this.snapshot(), name);
  readonly move: AdminActions['move'] = (request) => move(this.services, this.mover, request);
  readonly restart: AdminActions['restart'] = (timeout) => this.rolling.begin(performance.now(), timeout);
  readonly restartProgress: AdminActions['restartProgress'] = () => this.rolling.report();
  readonly prune: AdminActions['prune'] = (request) => prune(this.services, request);
  /** The configuration of the last reload, when it was not taken for its tokens. */
  private rejected: SkyportConfig | undefined;
  private lastReload: ReloadReport = { ok: true, problems: [] };

  /**
   * Opens the store and reads the tokens; nothing listens and nothing is started yet.
   * @throws when the store or the tokens file cannot be used
   */
  static async open(config: SkyportConfig, file: string): Promise<Skyport> {
    const log = new Log({ level: config.log.level });
    channels.lifecycle.publish({ phase: 'starting', detail: file });
    const tokens = readTokens(config);
    if (tokens.problems.length > 0) throw new Error(tokens.problems.join('\n'));
    const opened: { skyport?: Skyport } = {};
    const stores = await openStores(config, () => quotasOf(opened.skyport?.config ?? config));
    return (opened.skyport = new Skyport(config, file, log, stores, tokens.table));
  }

  private constructor(
    private config: SkyportConfig,
    private readonly file: string,
    private readonly log: Log,
    private readonly stores: Stores,
    tokens: TokenTable | undefined,
  ) {
    const { files, shared } = stores;
    this.directory = new Directory(stores.registry, {
      turnStarted: (session) => channels.turnStarted.publish({ sessionId: session.id, owner: session.owner, backend: session.backend }),
      turnEnded: (session, outcome, durationMs) => {
        channels.turnEnded.publish({ sessionId: session.id, owner: session.owner, backend: session.backend, outcome, durationMs });
        this.services.admission.turnEnded(session);
        this.mover.turnEnded(session);
      },
      changed: () => this.places.tell(),
      unloaded: () => undefined,
      interrupted: (session) => this.services.recovery?.begin(session) ?? false,
    }, (operation, error) => channels.registryError.publish({ operation, message: String(error) }), (session) => this.wipe(session), files, shared?.others);
    this.places = new Places(this.directory, () => this.config.sessions.max_active_per_backend, (session, reason) => {
      const { id: sessionId, owner, backend, epoch } = session;
      channels.sessionDetached.publish({ sessionId, owner, backend, epoch, reason });
    });
    const roster = new Roster(() => this.services.sharing);
    this.pool = new Pool(config.routing.policy, this.directory, {
      onBroadcast: (...news) => broadcast(this.services, ...news),
      onUp: () => this.markReady(),
      onDown: (backend, reason, hung) => {
        if (hung && backend.kind === 'managed') this.fleet.kill(backend.name, reason);
      },
      onRemoved: (backend) => {
        if (backend.kind === 'managed') void this.fleet.retire(backend.name);
      },
      onSpent: (backend, reason) => {
        if (backend.kind === 'managed') this.fleet.kill(backend.name, reason);
      },
    }, files && new StateServer(files, this.directory, {
      strip: (sessionId, content) => this.directory.get(sessionId)?.journal?.ghosts.strip(content) ?? content,
      onAppend: (sessionId, _path, content) => this.directory.get(sessionId)?.journal?.stored(content),
    }));
    this.fleet = new Fleet(fleetOptions(config), {
      onReady: ({ name, host, port, token, workingDirectory, tenancy, canary, run }) =>
        this.pool.managedUp({ name, address: { host, port, token, workingDirectory }, tenancy, canary, run }, managedSettings(this.config)),
      onGone: (name, reason) => this.pool.managedDown(name, reason),
      onLine: (backend, stream, line) => channels.backendLine.publish({ backend, stream, line }),
      onRemoved: (name) => this.pool.managedRemove(name, 'the fleet shrinks'),
    });
    const workspaces = config.fleet.working_directory;
    this.services = {
      directory: this.directory,
      places: this.places,
      pool: this.pool,
      roster,
      admission: new Admission(config.limits, this.directory, (...owner) => this.services.authenticator.rolesOf(...owner), { rates: stores.rates, shared: shared?.turns }),
      writers: new Writers(writerRules(config)),
      throttle: new LoginThrottle(),
      authenticator: new Authenticator({ anonymous: config.identity.anonymous, tokens }),
      guard: guardOf(config, workspaces),
      sharing: new Sharing(sharingRules(config)),
      limits: config.limits,
      linger: config.sessions.linger,
      moves: (config.sessions.state as string) !== 'server',
      draining: false,
      ...(files ? { stored: storedIn(files) } : {}),
      lease: config.store.lease,
      storeAway: () => stores.state()?.up === false,
      makeDirectory: async (path) => {
        if (!workspaces || !path.startsWith(workspaces)) return;
        // A static backend may be on another host, where the directory is made by other means.
        await mkdir(path, { recursive: true }).catch(() => undefined);
      },
    };
    if (files) this.services.recovery = new Recovery(this.services, files);
    this.membership = shared && new Membership(shared, this.services, () => peerSettings(this.config));
    this.mover = new Mover(this.services);
    this.rolling = new RollingRestart(managedServers(this.fleet, this.services, this.mover));
    this.metrics = new Metrics(() => this.snapshot());
    this.janitor = new Janitor([
      { name: 'wake', every: 50, run: () => this.membership?.watch() },
      { name: 'health', every: 50, run: () => this.pool.tick(performance.now(), this.config.links.idle_close) },
      { name: 'linger', every: 250, run: (now) => this.releaseHeld(now) },
      { name: 'missed', every: 1_000, run: (now) => missed.sweep(now) },
      { name: 'writers', every: 250, run: () => this.services.writers.tick(this.services.draining) },
      { name: 'turn limits', every: 250, run: () => this.services.admission.tick(this.services.draining) },
      { name: 'moves', every: 100, run: (now) => this.mover.sweep(now) },
      { name: 'restart', every: 100, run: () => this.rolling.tick(performance.now()) },
      { name: 'idle sessions', every: 500, run: (now) => this.sleepIdle(now) },
      { name: 'expired sessions', every: 2_000, run: (now) => this.expire(now) },
      { name: 'never used', every: 60_000, run: (now) => this.expireNeverUsed(now) },
      { name: 'config', every: 2_000, run: () => this.watcher.look() },
      { name: 'handshakes', every: 1_000, run: (now) => this.services.roster.endHandshakes(now, this.services.limits.handshake_timeout) },
      { name: 'registry', every: 1_000, run: () => this.flush() },
      { name: 'other Skyports', every: 1_000, run: () => this.membership?.tick() },
      { name: 'throttle', every: 60_000, run: (now) => this.services.throttle.sweep(now) },
    ]);
    this.watcher = new ConfigWatcher(file, (reload) => this.onReload(reload), (loaded) => this.watchedTokens(loaded), {
      rules: OPENABLE_RULES,
    });
  }

  /** @throws when an address cannot be bound; call `stop` then */
  async start(): Promise<void> {
    this.admin = await createAdmin({ path: this.config.admin.socket, actions: this });
    this.janitor.start();
    process.on('exit', this.onExit);
    if (this.config.fleet.count > 0) this.fleet.start();
    this.pool.setStatic(staticBackends(this.config));
    await this.membership?.enter();
    for (const listener of this.config.listen) {
      if (listener.tcp !== undefined) {
        this.bound.push(await listenTcp(this.services, parseAddress(listener.tcp)!, listener.as));
      } else {
        const server = createHttp({
          snapshot: () => this.snapshot(),
          metrics: this.metrics,
          onUpgrade: createUpgrade(this.services),
          origins: listener.origins,
        });
        this.bound.push(await listenHttp(server, parseAddress(listener.http)!));
      }
    }
    await this.membership?.join(advertised(this.config, this.bound));
    await this.watcher.start();
    this.markReady();
  }

  /**
   * Takes no new clients, sessions or turns; lets answers and turns that are under way end, for
   * `shutdown.drain` at most; then closes everything, the managed servers last.
   */
  stop(): Promise<void> {
    this.stopping ??= this.stopInOrder();
    return this.stopping;
  }

  /** Reads the configuration and the tokens anew, as SIGHUP does. */
  reload(): Promise<ReloadReport> {
    this.watcher.reload();
    return Promise.resolve(this.lastReload);
  }

  snapshot(): Snapshot {
    return describe({
      directory: this.directory,
      pool: this.pool,
      roster: this.services.roster,
      members: this.fleet.list(),
      linksMax: this.config.links.max,
      startedAt: this.startedAt,
      ready: this.ready,
      draining: this.services.draining,
      moves: this.services.moves,
      staying: (backend) => this.mover.staying(backend),
      drainingSince: (backend) => this.mover.drainingSince(backend),
      turnsEnded: this.metrics.turnsEnded,
      version: VERSION,
      others: this.membership?.others ?? [],
      store: this.stores.state(),
    });
  }

  status(): Snapshot {
    return this.snapshot();
  }

  sessions(filter: SessionFilter): SessionRow[] {
    return sessionRows(this.directory, this.services.sharing, filter, this.membership?.others);
  }

  private markReady(): void {
    if (this.ready || this.bound.length < this.config.listen.length || !this.pool.anyUp()) return;
    this.ready = true;
    channels.lifecycle.publish({ phase: 'ready' });
  }

  private releaseHeld(now: number): void {
    for (const session of [...this.directory.live()]) {
      for (const attachment of [...session.attachments]) {
        if (attachment.state === 'held' && now >= attachment.heldUntil) void attachment.release();
      }
    }
  }

  private async sleepIdle(now: number): Promise<void> {
    const { idle_timeout } = this.config.sessions;
    if (idle_timeout !== undefined) await this.places.sweep(now, idle_timeout);
  }

  private async expire(now: number): Promise<void> {
    const { ttl } = this.config.sessions;
    if (ttl === undefined) return;
    await this.membership?.adoptUnused(now - ttl, EXPIRY_STEP);
    tellDeleted(await this.directory.expire(now - ttl, EXPIRY_STEP), 'ttl');
  }

  private async expireNeverUsed(now: number): Promise<void> {
    const { files } = this.stores;
    if (files) tellDeleted(await expireNeverUsed(this.directory, files, now - NEVER_USED, EXPIRY_STEP), 'never used');
  }

  private async flush(): Promise<void> {
    try {
      await this.directory.flush();
    } catch (error) {
      channels.registryError.publish({ operation: 'flush', message: String(error) });
    }
  }

  private onReload({ config, problems }: Reload): void {
    const tokens = config ? readTokens(config) : { problems: [] };
    const errors = [...problems.filter((problem) => problem.severity === 'error').map(formatProblem), ...tokens.problems];
    // Its tokens file may be what is missing yet.
    this.rejected = errors.length > 0 ? config : undefined;
    if (!config || errors.length > 0) {
      this.lastReload = { ok: false, problems: errors };
      channels.configRejected.publish({ file: this.file, problems: errors });
      return;
    }
    const { reloaded, needsRestart } = changes(this.config, config);
    this.apply(config, 'table' in tokens ? tokens.table : undefined);
    this.lastReload = { ok: true, problems: problems.map(formatProblem), reloaded, needsRestart };
    channels.configReloaded.publish({ file: this.file, reloaded, needsRestart });
  }

  private watchedTokens(loaded?: SkyportConfig): string[] {
    return [this.config, this.rejected, loaded].flatMap((config) => (config ? tokenFiles(config) : []));
  }

  /** What needs a restart keeps its value in `this.config`, so that the next reload still tells of it. */
  private apply(config: SkyportConfig, tokens: TokenTable | undefined): void {
    const { listen, store, admin } = this.config;
    const { command, env, working_directory } = this.config.fleet;
    const sessions = { ...config.sessions, state: this.config.sessions.state };
    this.config = { ...config, listen, store, admin, sessions, fleet: { ...config.fleet, command, env, working_directory } };
    const { services } = this;
    services.limits = config.limits;
    services.linger = config.sessions.linger;
    services.writers.rules = writerRules(config);
    services.guard = guardOf(config, working_directory);
    services.sharing = new Sharing(sharingRules(config));
    services.authenticator.update({ anonymous: config.identity.anonymous, tokens });
    for (const client of [...services.roster.all()]) client.reauthenticate();
    services.admission.update(config.limits);
    reviewAll(services);
    this.log.level = config.log.level;
    this.pool.setPolicy(config.routing.policy);
    this.pool.updateManaged(managedSettings(this.config));
    this.pool.setStatic(staticBackends(this.config));
    this.fleet.update(fleetOptions(this.config));
    if (config.fleet.count > 0) this.fleet.start();
  }

  private async stopInOrder(): Promise<void> {
    const { services } = this;
    services.draining = true;
    channels.lifecycle.publish({ phase: 'draining', detail: `${services.roster.size} clients` });
    await this.watcher.close();
    for (const bound of this.bound) bound.close();
    this.membership?.drain();
    const deadline = Date.now() + this.config.shutdown.drain;
    while ((services.roster.isNeeded || holdsTurn(this.directory)) && Date.now() < deadline) {
      for (const client of [...services.roster.all()]) client.finish();
      await pause(25);
    }
    for (const client of [...services.roster.all()]) client.leave('SKYPORT_SHUTTING_DOWN');
    // The detaches of those who have just left are answered within milliseconds.
    const detached = Date.now() + 1_000;
    while (isDetaching(this.directory) && Date.now() < detached) await pause(10);
    this.janitor.stop();
    await this.membership?.leave();
    this.pool.close();
    await this.fleet.stop();
    process.off('exit', this.onExit);
    await this.admin?.close();
    await this.flush();
    await this.stores.close();
    channels.lifecycle.publish({ phase: 'stopped' });
    this.metrics.close();
    this.log.close();
  }

  /** Deletes a session from its server. @returns false when the server cannot be asked */
  private async wipe({ id, backend: name }: Session): Promise<boolean> {
    if (this.stores.files) return true;
    const link = await this.pool.bound(name)?.links.borrow(PLAIN, id);
    if (!link || isRefusal(link) || 'kind' in link) return false;
    const answer = await link.call('session.delete', { sessionId: id }, WIPE_DEADLINE);
    return !isRefusal(answer) && answer.ok;
  }
}

const VERSION = packageVersion();

/** Sessions that are deleted at one time when their `ttl` is over. */
const EXPIRY_STEP = 20;

/** Milliseconds after which a session that nobody has used, or has attached, is deleted. */
const NEVER_USED = 3_600_000;

/** Milliseconds a server has to delete a session. */
const WIPE_DEADLINE = 10_000;

