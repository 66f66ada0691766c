/** What has gone over connections; `In` is what Skyport received. A transport is one, too. */
export interface Traffic {
  bytesIn: number;
  bytesOut: number;
  framesIn: number;
  framesOut: number;
}

export function noTraffic(): Traffic {
  return { bytesIn: 0, bytesOut: 0, framesIn: 0, framesOut: 0 };
}

/** Adds to `sum`. */
export function addTraffic(sum: Traffic, more: Readonly<Traffic>): void {
  sum.bytesIn += more.bytesIn;
  sum.bytesOut += more.bytesOut;
  sum.framesIn += more.framesIn;
  sum.framesOut += more.framesOut;
}
