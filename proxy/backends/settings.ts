import type { HealthOptions } from './health.js';

/** What the configuration says of a backend; a reload changes it in a running one. */
export interface BackendSettings {
  readonly weight: number;
  readonly maxSessions?: number;
  readonly backup: boolean;
  readonly health: HealthOptions;
  readonly links: { readonly base: number; readonly max: number };
  readonly maxFrame: number;
}
