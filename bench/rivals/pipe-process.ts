/** The smallest proxy in Node: two sockets and a pipe each way. Arguments: own port, backend's host and port. */
import net from 'node:net';

const [port, host, backendPort] = process.argv.slice(2);

net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
  const backend = net.connect({ host, port: Number(backendPort), noDelay: true, allowHalfOpen: true });
  client.pipe(backend);
  backend.pipe(client);
  client.on('error', () => backend.destroy());
  backend.on('error', () => client.destroy());
  client.on('close', () => backend.destroy());
  backend.on('close', () => client.destroy());
}).listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
