/**
 * Puts a running Skyport together from a configuration, and takes it apart again. The only place
 * that knows everyone.
 */
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
import { chores, flush } from './chores.js';
import { broadcast } from './clients/broadcast.js';
import { Mover } from './clients/moving.js';
import { Recovery } from './clients/recovery.js';
import { Roster } from './clients/roster.js';
import type { Services } from './clients/services.js';
import { storedIn } from './clients/stored.js';
import { OwnServers } from './clients/tenants.js';
import { Watchdog } from './clients/watchdog.js';
import { Writers } from './clients/writers.js';
import { reviewAll } from './clients/sharing.js';
import { isRefusal } from './protocol/errors.js';
import { OPENABLE_RULES } from './guard/rules.js';
import { Authenticator } from './identity/authenticator.js';
import { LoginThrottle } from './identity/throttle.js';
import type { TokenTable } from './identity/tokens-file.js';
import { Janitor } from './janitor.js';
import { createHttp } from './observe/http.js';
import { uidsTrouble } from './fleet/confinement.js';
import { prepareDirectory } from './fleet/owner.js';
import { ManagedServers } from './managed.js';
import { Log } from './observe/log.js';
import { Membership } from './membership.js';
import { Metrics } from './observe/metrics.js';
import type { Snapshot } from './observe/snapshot.js';
import { move, prune, setDraining } from './orders.js';
import { packageVersion } from './package.js';
import { describe, drainReport, sessionRows } from './report.js';
import { managedServers, RollingRestart } from './upkeep/restart.js';
import { Directory } from './sessions/directory.js';
import { Places } from './sessions/places.js';
import { Sharing } from './sessions/shares.js';
import { guardOf, isolationOf, managedSettings, peerSettings, quotasOf, readTokens, sharingRules, staticBackends, tokenFiles, writerRules } from './settings.js';
import type { Session } from './sessions/session.js';
import { share, unshare } from './sharing.js';
import { StateServer } from './state/server.js';
import { holdsTurn, isDetaching, Parting } from './stopping.js';
import { advertised, openStores, type Stores } from './stores.js';
import { Upkeep } from './upkeep/upkeep.js';

export class Skyport implements AdminActions {
  private readonly metrics: Metrics;
  private readonly membership: Membership | undefined;
  private readonly directory: Directory;
  private readonly places: Places;
  private readonly pool: Pool;
  private readonly services: Services;
  private readonly managed: ManagedServers;
  private readonly mover: Mover;
  private readonly rolling: RollingRestart;
  private readonly upkeep: Upkeep;
  private readonly janitor: Janitor;
  private readonly watcher: ConfigWatcher;
  private readonly startedAt = Date.now();
  /** However the process ends short of kill -9, its servers do not outlive it. */
  private readonly onExit = (): void => this.managed.fleet.killNow();
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
    const problems = [...tokens.problems, uidsTrouble(config.fleet) ?? []].flat();
    if (problems.length > 0) throw new Error(problems.join('\n'));
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
    this.managed = new ManagedServers(() => this.config, this.directory, () => this.pool);
    this.pool = new Pool(config.routing.policy, this.directory, {
      onBroadcast: (...news) => broadcast(this.services, ...news),
      onUp: (backend) => {
        this.markReady();
        this.managed.up(backend);
      },
      onDown: (backend, reason, hung) => {
        if (hung) this.managed.kill(backend, reason);
      },
      onRemoved: (backend) => this.managed.retire(backend),
      onSpent: (backend, reason) => this.managed.kill(backend, reason),
    }, files && new StateServer(files, this.directory, {
      strip: (sessionId, content) => this.directory.get(sessionId)?.journal?.ghosts.strip(content) ?? content,
      onAppend: (sessionId, _path, content) => this.directory.get(sessionId)?.journal?.stored(content),
      onReplace: (sessionId) => this.directory.get(sessionId)?.journal?.replaced(),
    }), {
      isolated: (user) => this.isIsolated(user),
      canaryShare: () => this.config.fleet.canary?.share ?? 0,
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
      guard: guardOf(config, workspaces, (user) => this.services.authenticator.rolesOf(user, '')),
      sharing: new Sharing(sharingRules(config)),
      limits: config.limits,
      linger: config.sessions.linger,
      moves: (config.sessions.state as string) !== 'server',
      draining: false,
      ...(files ? { stored: storedIn(files) } : {}),
      lease: config.store.lease,
      storeAway: () => stores.state()?.up === false,
      makeDirectory: async (path, user) => {
        if (!workspaces || !path.startsWith(workspaces)) return;
        const owner = this.isIsolated(user) ? this.managed.fleet.ownerOf(user) : undefined;
        // A static backend may be on another host, where the directory is made by other means.
        await prepareDirectory(workspaces, path, owner).catch((error: unknown) => channels.workspaceFailed.publish({ user, message: String(error) }));
      },
    };
    this.services.tenants = new OwnServers(this.pool, (user) => this.isIsolated(user), (user) => this.managed.claim(user), () => this.config.fleet.wait);
    if (files) this.services.recovery = new Recovery(this.services, files);
    this.membership = shared && new Membership(shared, this.services, () => peerSettings(this.config));
    this.mover = new Mover(this.services);
    this.rolling = new RollingRestart(managedServers(this.managed.fleet, this.services, this.mover));
    this.upkeep = new Upkeep(config, this.managed.fleet, this.services, this.rolling);
    this.metrics = new Metrics(() => this.snapshot());
    this.janitor = new Janitor([...this.upkeep.jobs, ...chores({
      config: () => this.config,
      services: this.services,
      fleet: this.managed.fleet,
      warming: this.managed.warming,
      mover: this.mover,
      rolling: this.rolling,
      watchdog: new Watchdog(this.services, () => this.config.sessions.stall_timeout),
      membership: this.membership,
      files,
      watcher: () => this.watcher,
    })]);
    this.watcher = new ConfigWatcher(file, (reload) => this.onReload(reload), (loaded) => this.watchedTokens(loaded), {
      rules: OPENABLE_RULES,
    });
  }

  /** @throws when an address cannot be bound; call `stop` then */
  async start(): Promise<void> {
    this.admin = await createAdmin({ path: this.config.admin.socket, actions: this });
    this.janitor.start();
    process.on('exit', this.onExit);
    this.managed.start();
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
      members: this.managed.fleet.list(),
      linksMax: this.config.links.max,
      startedAt: this.startedAt,
      ready: this.ready,
      onDemand: this.config.fleet.isolation === 'per_user',
      draining: this.services.draining,
      moves: this.services.moves,
      ...this.upkeep.report(),
      staying: (backend) => this.mover.staying(backend),
      drainingSince: (backend) => this.mover.drainingSince(backend),
      turnUsage: () => this.services.admission.usageOf(),
      rolesOf: (user) => [...this.services.authenticator.rolesOf(user, '')],
      usersWaiting: this.managed.fleet.waiting,
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

  private isIsolated(user: string): boolean {
    return isolationOf(this.config.fleet, this.services.authenticator.rolesOf(user, '')) === 'per_user';
  }

  private markReady(): void {
    // A user's own server starts when he comes.
    const servers = this.config.fleet.isolation === 'per_user' || this.pool.anyUp();
    if (this.ready || this.bound.length < this.config.listen.length || !servers) return;
    this.ready = true;
    channels.lifecycle.publish({ phase: 'ready' });
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
    const { working_directory } = this.config.fleet;
    const sessions = { ...config.sessions, state: this.config.sessions.state };
    this.config = { ...config, listen, store, admin, sessions, fleet: { ...config.fleet, working_directory } };
    const { services } = this;
    services.limits = config.limits;
    services.linger = config.sessions.linger;
    services.writers.rules = writerRules(config);
    services.guard = guardOf(config, working_directory, (user) => services.authenticator.rolesOf(user, ''));
    services.sharing = new Sharing(sharingRules(config));
    services.authenticator.update({ anonymous: config.identity.anonymous, tokens });
    for (const client of [...services.roster.all()]) client.reauthenticate();
    services.admission.update(config.limits);
    reviewAll(services);
    this.log.level = config.log.level;
    this.pool.setPolicy(config.routing.policy);
    this.pool.updateManaged(managedSettings(this.config));
    this.pool.setStatic(staticBackends(this.config));
    this.managed.update();
    this.upkeep.update(this.config);
  }

  private async stopInOrder(): Promise<void> {
    const { services } = this;
    services.draining = true;
    channels.lifecycle.publish({ phase: 'draining', detail: `${services.roster.size} clients` });
    await this.watcher.close();
    for (const bound of this.bound) bound.close();
    this.membership?.drain();
    const parting = new Parting();
    const deadline = Date.now() + this.config.shutdown.drain;
    while ((services.roster.isNeeded || holdsTurn(this.directory)) && Date.now() < deadline) {
      parting.look([...services.roster.all()], performance.now());
      await pause(25);
    }
    for (const client of [...services.roster.all()]) client.leave('SKYPORT_SHUTTING_DOWN');
    // The detaches of those who have just left are answered within milliseconds.
    const detached = Date.now() + 1_000;
    while (isDetaching(this.directory) && Date.now() < detached) await pause(10);
    this.janitor.stop();
    await this.membership?.leave();
    this.pool.close();
    await this.managed.fleet.stop();
    process.off('exit', this.onExit);
    await this.admin?.close();
    await flush(this.directory);
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

/** Milliseconds a server has to delete a session. */
const WIPE_DEADLINE = 10_000;

