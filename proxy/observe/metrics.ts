/**
 * Skyport's metrics for Prometheus. What happens seldom (a turn, a request, a refusal) is counted as
 * the channels tell it; what happens per message (bytes, frames) and what is a level rather than an
 * event is read from the snapshot at the scrape.
 */
import {
  channels, RECYCLE_REASONS, type Channel, type Subscriber, type TurnOutcome,
} from '../channels.js';
import { LoopDelay } from './loop-delay.js';
import { MetricBook, metricsDocument } from './metric-book.js';
import { processMetrics } from './process-metrics.js';
import { RequestMetrics } from './request-metrics.js';
import type { Snapshot } from './snapshot.js';
import { snapshotMetrics } from './snapshot-metrics.js';
import { turnLimitMetrics } from './turn-limit-metrics.js';

/** Seconds. */
const TURN_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800];
const TURN_OUTCOMES: readonly TurnOutcome[] = ['idle', 'error', 'aborted', 'backend_lost', 'client_gone'];

export class Metrics {
  readonly #book = new MetricBook();
  readonly #loopDelay = new LoopDelay();
  readonly #snapshot: () => Snapshot;
  readonly #readSnapshot: (snapshot: Snapshot) => void;
  readonly #readProcess: () => Promise<void>;
  readonly #requests: RequestMetrics;
  readonly #unsubscribe: Array<() => void> = [];
  #turnsEnded = 0;

  /** @param snapshot called once per scrape */
  constructor(snapshot: () => Snapshot) {
    this.#snapshot = snapshot;
    this.#readSnapshot = snapshotMetrics(this.#book, this.#loopDelay);
    this.#countClientsAndSessions();
    this.#requests = this.#countRequests();
    turnLimitMetrics(this.#book, (channel, subscriber) => this.#on(channel, subscriber));
    this.#countBackendsAndConfig();
    this.#readProcess = processMetrics(this.#book);
  }

  /** For the Content-Type header of /metrics. */
  get contentType(): string {
    return this.#book.registry.contentType;
  }

  /** Since the start. */
  get turnsEnded(): number {
    return this.#turnsEnded;
  }

  /** The text that /metrics answers with. */
  async render(): Promise<string> {
    this.#readSnapshot(this.#snapshot());
    this.#requests.publish();
    await this.#readProcess();
    return this.#book.registry.metrics();
  }

  /** The text of docs/metrics.md. */
  document(): string {
    return metricsDocument(this.#book.entries);
  }

  /** Stops listening and measuring. */
  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe.length = 0;
    this.#loopDelay.close();
    this.#book.registry.clear();
  }

  #on<T extends object>(channel: Channel<T>, subscriber: Subscriber<T>): void {
    channel.subscribe(subscriber);
    this.#unsubscribe.push(() => channel.unsubscribe(subscriber));
  }

  #countClientsAndSessions(): void {
    const book = this.#book;
    const opened = book.counter('skyport_client_connections_total', 'Client connections accepted, by transport.', ['transport']);
    const failed = book.counter('skyport_login_failures_total', 'Logins refused for a missing, wrong or unwanted token; `cut` tells those after which the connection was closed.', ['cut']);
    const changes = book.counter('skyport_session_changes_total', 'Sessions created, resumed, moved to another backend and deleted, and clients attached to and detached from them.', ['change']);
    const turns = book.counter('skyport_turns_total', 'Turns ended, by outcome: `idle` well, `error` and `aborted` as the server said, `backend_lost` its server went away, `client_gone` nobody came back within `sessions.linger`.', ['outcome']);
    const recovered = book.counter('skyport_turns_recovered_total', 'Turns of dead servers that another one took up, by what they had come to: `model` was asked, `prompt` was waited for, `tool` was running, `complete` but for its end, `none` begun; `failed` could not be completed.', ['outcome']);
    const stalled = book.counter('skyport_turns_stalled_total', 'What was done about turns in which nothing happened for `sessions.stall_timeout`: `abort` the server was told to end it, `end` the server said that nothing ran, `move` it was taken off that server, to be ended by another one, `give_up` its clients were told that it has failed.', ['step']);
    const durations = book.histogram('skyport_turn_duration_seconds', 'From a `session.send` to the session\'s next `session.idle`, however the turn ended.', TURN_BUCKETS);

    for (const transport of ['tcp', 'websocket']) opened.inc({ transport }, 0);
    for (const cut of ['false', 'true']) failed.inc({ cut }, 0);
    for (const outcome of TURN_OUTCOMES) turns.inc({ outcome }, 0);

    for (const outcome of ['none', 'complete', 'model', 'prompt', 'tool', 'failed']) recovered.inc({ outcome }, 0);
    this.#on(channels.clientOpened, ({ transport }) => opened.inc({ transport }));
    this.#on(channels.loginFailed, ({ cut }) => failed.inc({ cut: String(cut) }));
    const sessionChannels = {
      created: channels.sessionCreated, resumed: channels.sessionResumed, attached: channels.sessionAttached,
      detached: channels.sessionDetached, deleted: channels.sessionDeleted, moved: channels.sessionMoved,
    };
    for (const [change, channel] of Object.entries(sessionChannels)) {
      changes.inc({ change }, 0);
      this.#on(channel, () => changes.inc({ change }));
    }
    this.#on(channels.turnRecovered, ({ outcome }) => recovered.inc({ outcome }));
    for (const step of ['abort', 'end', 'move', 'give_up']) stalled.inc({ step }, 0);
    this.#on(channels.turnStalled, ({ step }) => stalled.inc({ step }));
    this.#on(channels.turnEnded, ({ outcome, durationMs }) => {
      this.#turnsEnded++;
      turns.inc({ outcome });
      durations.observe(durationMs / 1000);
    });
  }

  #countRequests(): RequestMetrics {
    const book = this.#book;
    const requests = new RequestMetrics(book);
    const refusals = book.counter('skyport_refusals_total', 'What Skyport refused, by name (docs/errors.md) and, where the guard decided, by its rule.', ['reason', 'rule']);

    this.#on(channels.requestDone, (done) => requests.count(done));
    this.#on(channels.refusal, ({ name, rule }) => refusals.inc({ reason: name, rule: rule ?? '' }));
    return requests;
  }

  #countBackendsAndConfig(): void {
    const book = this.#book;
    const states = book.counter('skyport_backend_state_changes_total', 'Changes of any backend\'s state, by the state it changed to.', ['to']);
    const links = book.counter('skyport_backend_link_changes_total', 'Links to backends opened and closed.', ['change']);
    const recycles = book.counter('skyport_backend_recycles_total', 'Replacements of managed servers, by reason (a threshold of `fleet.recycle`; `config` a new command or environment; `memory` twice `fleet.recycle.rss`) and step: `begun`, `started` a fresh process has the name, `done` it is up and the one before is gone, `failed`, `killed` the one before was not waited for.', ['reason', 'step']);
    const stopped = book.gauge('skyport_roll_over_stopped', '1 while managed servers keep an older command or environment because the first one with the newest did not start; the log says why.');
    const reloads = book.counter('skyport_config_reloads_total', 'Reloads of the config; a `failed` one left the running config in force.', ['result']);
    const reloaded = book.gauge('skyport_config_last_reload_success_timestamp_seconds', 'When the config was last put in force, in Unix time: at the start or by a reload.');
    const successful = book.gauge('skyport_config_last_reload_successful', '0 while the file on disk has mistakes and an older config is in force.');
    const taken = book.counter('skyport_sessions_taken_total', 'Sessions that changed their Skyport: `in` from another one, that was gone or did not use them, `out` to another one while this one had not let go of them: it had been taken for dead.', ['direction']);
    const instances = book.counter('skyport_instance_changes_total', '`gone` other Skyports on the same store that went or were taken for dead, `lapsed` how often this one\'s own lease was over before it was renewed.', ['change']);
    const registry = book.counter('skyport_registry_errors_total', 'Operations on the registry that failed.', ['operation']);
    const faults = book.counter('skyport_state_faults_total', 'Calls of servers on sessions\' files that failed: `not_bound` and `ESTALE` a server that does not hold the session (any more) was refused, `EDQUOT` over `sessions.quota`, `EIO` the store failed.', ['code']);
    const bugs = book.counter('skyport_bugs_total', 'Errors that nothing in Skyport expected; the log has each of them. Should be 0.');

    for (const reason of RECYCLE_REASONS) recycles.inc({ reason, step: reason === 'memory' ? 'killed' : 'begun' }, 0);
    stopped.set(0);
    for (const change of ['opened', 'closed']) links.inc({ change }, 0);
    for (const code of ['not_bound', 'ESTALE', 'EDQUOT', 'EIO']) faults.inc({ code }, 0);
    for (const direction of ['in', 'out']) taken.inc({ direction }, 0);
    for (const change of ['gone', 'lapsed']) instances.inc({ change }, 0);
    for (const result of ['success', 'failed']) reloads.inc({ result }, 0);
    successful.set(1);
    reloaded.set(Math.floor(Date.now() / 1000));

    this.#on(channels.backendState, ({ to }) => states.inc({ to }));
    this.#on(channels.backendRecycle, ({ reason, step }) => recycles.inc({ reason, step }));
    this.#on(channels.rollOver, (news) => stopped.set(news.stopped ? 1 : 0));
    this.#on(channels.backendLink, ({ change }) => links.inc({ change }));
    this.#on(channels.configReloaded, () => {
      reloads.inc({ result: 'success' });
      reloaded.set(Math.floor(Date.now() / 1000));
      successful.set(1);
    });
    this.#on(channels.configRejected, () => {
      reloads.inc({ result: 'failed' });
      successful.set(0);
    });
    this.#on(channels.sessionTaken, ({ direction }) => taken.inc({ direction }));
    this.#on(channels.instance, ({ change }) => instances.inc({ change }));
    this.#on(channels.registryError, ({ operation }) => registry.inc({ operation }));
    this.#on(channels.stateFault, ({ code }) => faults.inc({ code }));
    this.#on(channels.bug, () => bugs.inc());
  }
}
