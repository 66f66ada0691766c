/** The stand-in for a CLI server, in a process of its own. */
import { Backend, type BackendOptions } from './backend.js';
import { obey } from './orders.js';
import { stream, type StreamOrder } from './streams.js';

let backend: Backend;

obey({
  listen: (options: BackendOptions) => {
    backend = new Backend(options);
    return backend.listen();
  },
  stream: (order: StreamOrder) => stream(backend, order),
  idle: ({ first, count }: { first: number; count: number }) => backend.idle(backend.sessions.slice(first, first + count)),
});
