/**
 * What is counted of each request, in plain numbers: a busy Skyport answers a hundred thousand a second, and
 * prom-client looks a series up by a text made of its labels each time. It gets the numbers at the scrape.
 */
import type { Counter } from 'prom-client';
import type { RequestDone } from '../channels.js';
import { lookup } from '../protocol/catalogue.js';
import { methodLabel, requestKind, REQUEST_KINDS, type RequestKind } from './labels.js';
import type { MetricBook, Tally } from './metric-book.js';

/** Seconds. Skyport's own share is below the first bucket; a model call takes whole seconds. */
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** One method, or all that the catalogue does not know. */
interface Counted {
  readonly label: string;
  readonly durations: Tally;
  /** Since the last scrape, by outcome; the usual one by itself. */
  readonly outcomes: Map<string, number>;
  ok: number;
}

export class RequestMetrics {
  readonly #requests: Counter<'method' | 'outcome'>;
  readonly #durations: ReadonlyMap<RequestKind, Tally>;
  /** Only methods of the catalogue, so that it stays as small as that. */
  readonly #methods = new Map<string, Counted>();
  readonly #unknown: Counted;

  constructor(book: MetricBook) {
    this.#requests = book.counter('skyport_requests_total', 'Client requests answered, by method and outcome: `ok` and `error` are the CLI server\'s answers, a name from docs/errors.md is Skyport\'s own. A method outside the catalogue counts as `unknown`.', ['method', 'outcome']);
    this.#durations = book.tallies('skyport_request_duration_seconds', 'From the last byte of a client\'s request to the first of its answer, by kind: `lifecycle` (create, resume, detach, destroy, delete), `send`, `session` (any other call on one session), `fanout` (answered for all backends at once), `server` (without a session), `unknown`.', REQUEST_BUCKETS, 'kind', REQUEST_KINDS);
    this.#unknown = this.#counted('unknown', 'unknown');
  }

  count({ method, outcome, durationMs }: RequestDone): void {
    const counted = this.#methods.get(method) ?? this.#first(method);
    counted.durations.observe(durationMs / 1000);
    if (outcome === 'ok') counted.ok++;
    else counted.outcomes.set(outcome, (counted.outcomes.get(outcome) ?? 0) + 1);
  }

  /** Gives the counts to prom-client. Call before a scrape. */
  publish(): void {
    for (const counted of this.#methods.values()) this.#publish(counted);
    this.#publish(this.#unknown);
  }

  #publish(counted: Counted): void {
    const { label, outcomes, ok } = counted;
    if (ok > 0) this.#requests.inc({ method: label, outcome: 'ok' }, ok);
    counted.ok = 0;
    for (const [outcome, times] of outcomes) this.#requests.inc({ method: label, outcome }, times);
    outcomes.clear();
  }

  #first(method: string): Counted {
    if (lookup(method) === undefined) return this.#unknown;
    const counted = this.#counted(methodLabel(method), requestKind(method));
    this.#methods.set(method, counted);
    return counted;
  }

  #counted(label: string, kind: RequestKind): Counted {
    return { label, durations: this.#durations.get(kind)!, outcomes: new Map(), ok: 0 };
  }
}
