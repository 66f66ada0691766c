import type { Rival } from './rival.js';

export const direct: Rival = {
  name: 'direct',
  title: 'direct',
  missing: () => undefined,
  start: ({ backend }) => Promise.resolve({ address: backend, pid: undefined, stop: () => Promise.resolve() }),
};
