/** Where answers of the fake server wait until a test lets them through: order without a clock. */

/** What the gate must know of a request. */
interface Visitor {
  readonly params: { readonly [name: string]: unknown };
}

interface Waiting {
  readonly request: Visitor;
  go(): void;
}

export class Gate {
  /** Requests that came to the gate, in order; also those that have passed. */
  readonly arrived: Visitor[] = [];
  private readonly waiting: Waiting[] = [];
  private readonly watchers = new Set<() => void>();
  private open = false;

  /** Called by the fake server. */
  enter(request: Visitor, go: () => void): void {
    this.arrived.push(request);
    if (this.open) go();
    else this.waiting.push({ request, go });
    for (const wake of this.watchers) wake();
    this.watchers.clear();
  }

  /** Waits until so many have come, counted from the beginning. */
  async until(count: number): Promise<void> {
    while (this.arrived.length < count) await new Promise<void>((resolve) => this.watchers.add(resolve));
  }

  /** Answers the one that has waited longest. */
  pass(): void {
    const first = this.waiting.shift();
    if (!first) throw new Error('nobody waits at the gate');
    first.go();
  }

  /** Answers everybody, those who wait and those who will come. */
  openUp(): void {
    this.open = true;
    for (const { go } of this.waiting.splice(0)) go();
  }
}
