/** Rivals that are a Node program of a few lines. */
import { fileURLToPath } from 'node:url';
import { freePort, halt, launch, listening, type Rival } from './rival.js';

export const pipe = nodeProxy('pipe', 'Node pipe', './pipe-process.js');
export const jsonRpc = nodeProxy('vscode-jsonrpc', 'vscode-jsonrpc', './json-rpc-process.js', 60_000);

function nodeProxy(name: string, title: string, file: string, most?: number): Rival {
  return {
    name,
    title,
    ...(most !== undefined && { most }),
    missing: () => undefined,
    async start({ backend, directory }) {
      const address = { host: '127.0.0.1', port: await freePort() };
      const program = fileURLToPath(new URL(file, import.meta.url));
      const child = launch([process.execPath, program, String(address.port), backend.host, String(backend.port)], directory);
      await listening(child, address, directory);
      return { address, pid: child.pid, stop: () => halt(child) };
    },
  };
}
