import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../config/load.js';
import { formatProblem } from '../../../config/problem.js';
import { MINIMAL, load, put, scratch, told } from './scratch.js';

describe('a good file', () => {
  test('gets every default that it does not set', () => {
    const { config, problems } = load(MINIMAL);
    expect(problems).toEqual([]);
    expect(config).toMatchObject({
      listen: [{ tcp: '127.0.0.1:4321' }, { http: '127.0.0.1:4380' }],
      identity: { anonymous: 'local' },
      backends: [],
      fleet: { count: 1, isolation: 'shared', env: {}, weight: 1, start_timeout: 15_000, stop_timeout: 5_000, restart_backoff: { min: 250, max: 30_000 } },
      routing: { policy: 'sticky' },
      health: { interval: 2_000, timeout: 2_000, rise: 2, fall: 3, ejection: { base: 5_000, max: 300_000, errors: 5 }, slow_start: 10_000 },
      links: { base: 8, max: 32, idle_close: 60_000 },
      sessions: { state: 'skyport', quota: {}, linger: 30_000 },
      store: { driver: 'embedded', prefix: 'skyport:', timeout: 3_000 },
      guard: { profile: 'tenant', open: {} },
      limits: {
        max_frame: 16_777_216, clients: 10_000, sessions_per_user: 100, requests_per_client: 1_024,
        client_buffer: 67_108_864, handshake_timeout: 10_000,
      },
      shutdown: { drain: 20_000 },
      log: { level: 'info', format: 'json' },
    });
  });

  test('has its relative paths resolved against its own directory', () => {
    const directory = scratch();
    const file = put(directory, 'etc/skyport.yaml', 'identity: { tokens_file: ./t.yaml }\nfleet: { count: 1, working_directory: ../work }\nstore: { path: state }\n');
    const { config } = loadConfig(file, {});
    expect(config?.identity.tokens_file).toBe(join(dirname(file), 't.yaml'));
    expect(config?.fleet.working_directory).toBe(join(directory, 'work'));
    expect(config?.store.path).toBe(join(dirname(file), 'state'));
    expect(config?.admin.socket).toBe(join(dirname(file), 'state', 'skyport.sock'));
  });

  test('has the files of secrets resolved in the same way', () => {
    const { config, problems } = load(`${MINIMAL.replace(/^fleet:.*$/m, '')}fleet:
  count: 1
  env: { KEY: { file: keys/one }, PLAIN: ./text, PRINTED: { command: [./program, ./argument] } }
  users:
    alice: { env: { KEY: { file: ../two } }, github_token: { file: three } }
    bob: { github_token: ./four }
`);
    const directory = dirname(config!.admin.socket);
    expect(problems).toEqual([]);
    expect(config!.fleet.env).toEqual({ KEY: { file: join(dirname(directory), 'keys/one') }, PLAIN: './text', PRINTED: { command: ['./program', './argument'] } });
    expect(config!.fleet.users['alice']).toMatchObject({ env: { KEY: { file: join(dirname(directory), '../two') } }, github_token: { file: join(dirname(directory), 'three') } });
    expect(config!.fleet.users['bob']).toMatchObject({ env: {}, github_token: './four' });
  });

  test('keeps absolute paths', () => {
    const { config } = load(`${MINIMAL}store: { path: /var/lib/skyport }\nadmin: { socket: /run/skyport.sock }\n`);
    expect(config?.store.path).toBe('/var/lib/skyport');
    expect(config?.admin.socket).toBe('/run/skyport.sock');
  });

  test('may have sections in which everything is commented out', () => {
    const { config, problems } = load(`${MINIMAL}backends:\n#  - name: x\nlimits:\nhealth:\n  ejection:\n`);
    expect(problems).toEqual([]);
    expect(config?.backends).toEqual([]);
    expect(config?.health.ejection.errors).toBe(5);
  });

  test('may use anchors and aliases', () => {
    const { config } = load('identity: { anonymous: local }\nbackends:\n  - { name: a, url: &url tcp://10.0.0.1:1, weight: 3 }\nfleet: { env: { URL: *url } }\n');
    expect(config?.fleet.env).toEqual({ URL: 'tcp://10.0.0.1:1' });
  });

  test('may listen on IPv6, on any free port, and for one user', () => {
    const { config, problems } = load(`${MINIMAL}listen:\n  - tcp: "[::1]:0"\n    as: alice\n  - http: 127.0.0.1:0\n    origins: ["https://app.example.com"]\n`);
    expect(problems).toEqual([]);
    expect(config?.listen).toEqual([{ tcp: '[::1]:0', as: 'alice' }, { http: '127.0.0.1:0', origins: ['https://app.example.com'] }]);
  });
});

describe('variables', () => {
  test('stand anywhere in a text', () => {
    const { config } = load('identity: { anonymous: local }\nbackends:\n  - name: cli-${N}\n    url: tcp://${HOST:-10.0.0.9}:${PORT}\n    token: ${TOKEN}\n', { N: '1', PORT: '4321', TOKEN: '12345' });
    expect(config?.backends[0]).toMatchObject({ name: 'cli-1', url: 'tcp://10.0.0.9:4321', token: '12345' });
  });

  test('give a number or a flag where one is needed', () => {
    const { config } = load('identity: { anonymous: local }\nbackends:\n  - name: a\n    url: tcp://h:1\n    weight: ${W}\n    backup: ${B}\nfleet:\n  count: ${C:-3}\n', { W: '7', B: 'true' });
    expect(config?.backends[0]).toMatchObject({ weight: 7, backup: true });
    expect(config?.fleet.count).toBe(3);
  });

  test('that are not set are told with their place, and only once', () => {
    const result = load('identity: { anonymous: local }\nbackends:\n  - name: a\n    url: ${URL}\n    token: "${TOKEN}"\n');
    expect(told(result)).toEqual([
      '4:10 error backends[0].url: the environment variable URL is not set; write ${URL:-default} to give a default',
      '5:12 error backends[0].token: the environment variable TOKEN is not set; write ${TOKEN:-default} to give a default',
    ]);
    expect(result.config).toBeUndefined();
  });

  test('in comments are not looked at', () => {
    expect(load(`${MINIMAL}# token: \${NOT_SET}\n`).problems).toEqual([]);
  });
});

describe('mistakes', () => {
  test('are all told at once, in the order of the file, with line and column', () => {
    const result = load([
      'listen:',
      '  - tcp: 127.0.0.1',
      '  - tcp: 127.0.0.1:4321',
      '    http: 127.0.0.1:4380',
      'identity: { anonymous: "not a name" }',
      'backends:',
      '  - url: tcp://10.0.0.5:4321',
      '    wieght: 2',
      '  - { name: Upper, url: http://h:1, weight: 300 }',
      'routing: { polcy: sticky }',
      'health: { interval: 2, timeout: 5 s }',
      'links: { base: 8, max: 4 }',
      'limits: { max_frame: 1GB, clients: many }',
      'guard: { profile: trustd }',
      'logs: {}',
    ].join('\n'));
    expect(told(result)).toEqual([
      '2:10 error listen[0].tcp: is not host:port ["127.0.0.1"]',
      '3:5 error listen[1]: needs either tcp or http, and not both',
      '5:24 error identity.anonymous: is not a user name ["not a name"]',
      '7:5 error backends[0].name: is required: a backend name',
      '8:5 error backends[0].wieght: unknown key; did you mean weight?',
      '9:13 error backends[1].name: is not a backend name ["Upper"]',
      '9:25 error backends[1].url: is not the URL of a backend ["http://h:1"]',
      '9:45 error backends[1].weight: is out of range [300]',
      '10:12 error routing.polcy: unknown key; did you mean policy?',
      '11:21 error health.interval: is not a duration [2]',
      '11:33 error health.timeout: is not a duration ["5 s"]',
      '12:24 error links.max: is smaller than links.base, 8 [4]',
      '13:22 error limits.max_frame: is out of range ["1GB"]',
      '13:22 error limits.max_frame: is larger than limits.client_buffer, 64MiB ["1GB"]',
      '13:36 error limits.clients: is not a whole number [\"many\"]',
      '14:19 error guard.profile: is not one of the allowed words; did you mean trusted? ["trustd"]',
      '15:1 error logs: unknown key; did you mean log?',
    ]);
    expect(result.config).toBeUndefined();
  });

  test('are printed as file:line:column: error: key: message (found …; allowed …)', () => {
    const directory = scratch();
    const file = put(directory, 'skyport.yaml', `${MINIMAL}health:\n  rise: 0\n`);
    expect(loadConfig(file, {}).problems.map(formatProblem)).toEqual([
      `${file}:4:9: error: health.rise: is out of range (found 0; allowed: 1 to 100)`,
    ]);
  });

  test('in the YAML itself are told at their place', () => {
    expect(told(load('listen:\n  - tcp: "127.0.0.1:1\nfleet: { count: 1 }\n'))).toEqual([
      '4:1 error : a character is missing here: a colon, comma, quote, bracket or space',
    ]);
    expect(told(load('fleet:\n\tcount: 1\n'))[0]).toBe('2:1 error : tabs may not be used as indentation');
  });

  test('a second document is told of, for nothing in it would count', () => {
    expect(told(load(`${MINIMAL}---\nguard: { profile: tenant }\n`))).toEqual([
      '3:1 error : a second document (---) begins here; the file may hold only one',
    ]);
    expect(load(`---\n${MINIMAL}...\n`).problems).toEqual([]);
  });

  test('a mapping cannot be a key', () => {
    expect(told(load(`${MINIMAL}? { a: 1 }\n: 2\n`))).toEqual([
      '3:3 error : a mapping or list cannot be a key; put quotes around a text that begins with { or [',
    ]);
  });

  test('a key that is given twice does not hide the others', () => {
    expect(told(load(`${MINIMAL}health:\n  rise: 1\n  rise: 2\n  fal: 3\n`))).toEqual([
      '5:3 error health.rise: this key is given twice',
      '6:3 error health.fal: unknown key; did you mean fall?',
    ]);
  });

  test('a key in the wrong section is sent to the right one', () => {
    expect(told(load(`${MINIMAL}guard:\n  max_frame: 1MiB\n`))).toEqual([
      '4:3 error guard.max_frame: unknown key; did you mean limits.max_frame?',
    ]);
  });

  test('camelCase is understood as a slip', () => {
    expect(told(load(`${MINIMAL}limits: { maxFrame: 1MiB }\n`))[0]).toContain('did you mean max_frame?');
  });

  test('a section of the wrong kind is one mistake', () => {
    expect(told(load(`${MINIMAL}backends: tcp://10.0.0.5:4321\nlimits: [1]\n`))).toEqual([
      '3:11 error backends: is not a list [a text]',
      '4:9 error limits: is not a mapping [a list]',
    ]);
  });

  test('a file that is no mapping is one mistake', () => {
    expect(told(load('- a\n- b\n'))[0]).toBe('1:1 error : is not a mapping [a list]');
  });

  test('a text that YAML takes for something else wants quotes', () => {
    expect(told(load('identity: { anonymous: local }\nfleet: { count: 1, env: { COPILOT_OFFLINE: true } }\n'))).toEqual([
      '2:44 error fleet.env.COPILOT_OFFLINE: is not a text; put it in quotes [a boolean]',
    ]);
  });

  test('the name of an environment variable and of a role is checked', () => {
    expect(told(load('identity: { anonymous: local }\nfleet: { count: 1, env: { "A-B": "1" } }\nguard: { open: { Admin: [x] } }\n'))).toEqual([
      '2:27 error fleet.env.A-B: is not the name of an environment variable',
      '3:18 error guard.open.Admin: is not a role name',
    ]);
  });

  test('a rule that the guard does not have is told with the rules that it has', () => {
    const text = `${MINIMAL}guard: { open: { admin: [shell-exec, shel-exec] } }\n`;
    const result = load(text, {}, { rules: ['shell-exec', 'mcp-command'] });
    expect(told(result)).toEqual(['3:38 error guard.open.admin[1]: there is no such rule; did you mean shell-exec? ["shel-exec"]']);
    expect(result.problems[0]?.allowed).toBe('shell-exec, mcp-command');
    expect(load(text).problems).toEqual([]);
  });

  test('a file that cannot be read is a problem like others', () => {
    const directory = scratch();
    expect(loadConfig(join(directory, 'no.yaml'), {}).problems).toEqual([
      { file: join(directory, 'no.yaml'), line: 1, column: 1, key: '', message: 'cannot be read: there is no such file', severity: 'error' },
    ]);
    expect(loadConfig(directory, {}).problems[0]?.message).toBe('cannot be read: it is a directory');
  });

  test('a thousand aliases of aliases end in a problem, not in a full memory', () => {
    const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
    for (let i = 1; i < 12; i++) lines.push(`a${i}: &a${i} [${Array(10).fill(`*a${i - 1}`).join(',')}]`);
    expect(told(load(lines.join('\n')))[0]).toContain('an alias (*name) has no anchor, or there are too many of them');
  });
});

describe('what involves more than one key', () => {
  test.each([
    ['backend names', 'backends: [{ name: a, url: tcp://h:1 }, { name: a, url: tcp://h:2 }]', 'backends[1].name: is already the name of backends[0] ["a"]'],
    ['listen addresses', 'listen: [{ tcp: 127.0.0.1:1 }, { http: localhost:1 }]', 'listen[1].http: is already taken by listen[0].tcp ["localhost:1"]'],
    ['a backend that is Skyport', 'backends: [{ name: a, url: tcp://127.0.0.1:4321 }]', 'backends[0].url: is an address that Skyport itself listens on ["tcp://127.0.0.1:4321"]'],
    ['as on http', 'listen: [{ http: 127.0.0.1:1, as: bob }]', 'listen[0].as: is only for a tcp listener'],
    ['origins on tcp', 'listen: [{ tcp: 127.0.0.1:1, origins: [] }]', 'listen[0].origins: is only for an http listener'],
    ['an empty listener', 'listen: [{}]', 'listen[0]: needs either tcp or http, and not both'],
    ['no listener', 'listen: []', 'listen: must not be empty [a list]'],
    ['client_buffer below max_frame', 'limits: { client_buffer: 1MiB }', 'limits.client_buffer: is smaller than limits.max_frame, 16MiB ["1MiB"]'],
    ['links.base above the default max', 'links: { base: 16, max: 8 }', 'links.max: is smaller than links.base, 16 [8]'],
    ['quotas', 'sessions: { quota: { per_session: 2GiB, per_user: 1GiB } }', 'sessions.quota.per_user: is smaller than sessions.quota.per_session, 2GiB ["1GiB"]'],
    ['ejection', 'health: { ejection: { base: 10m } }', 'health.ejection.base: is larger than health.ejection.max, 5m ["10m"]'],
  ])('%s', (_name, line, expected) => {
    const errors = told(load(`${MINIMAL}${line}\n`)).map((text) => text.replace(/^\S+ error /, ''));
    expect(errors).toEqual([expected]);
  });

  test.each([
    ['redis without a URL', '{ driver: redis }', 'store.driver: needs store.url ["redis"]'],
    ['a URL without redis', '{ url: "redis://h" }', 'store.url: is only for the driver redis'],
    ['sentinels without redis', '{ sentinel: { name: m, nodes: ["h:1"] } }', 'store.sentinel: is only for the driver redis'],
    ['a cluster of sentinels', '{ driver: redis, url: "redis://h", sentinel: { name: m, nodes: ["h:1"] }, cluster: { nodes: ["h:2"] } }',
      'store.cluster: excludes store.sentinel'],
    ['a URL of something else', '{ driver: redis, url: "http://h" }', 'store.url: is not the URL of a Redis [a text]'],
    ['a URL with a badly encoded password', '{ driver: redis, url: "redis://:100%@h" }', 'store.url: is not the URL of a Redis [a text]'],
    ['a sentinel without a port', '{ driver: redis, url: "redis://h", sentinel: { name: m, nodes: ["h"] } }', 'store.sentinel.nodes[0]: is not host:port ["h"]'],
  ])('%s', (_name, store, expected) => {
    const errors = told(load(`${MINIMAL}store: ${store}\n`)).map((text) => text.replace(/^\S+ error /, ''));
    expect(errors).toEqual([expected]);
  });

  test.each([
    '"redis://10.0.0.9"', '"redis://:p%40ss@redis.example:6380/3"', '"rediss://user:pw@[::1]:6379"',
  ])('redis at %s is taken as it is written', (url) => {
    const { config, problems } = load(`${MINIMAL}store: { driver: redis, url: ${url}, ca_file: ca.pem, timeout: 1s }\n`);
    expect(problems).toEqual([]);
    expect(config?.store).toMatchObject({ driver: 'redis', url: JSON.parse(url), prefix: 'skyport:', timeout: 1_000, ca_file: expect.stringMatching(/^\/.*ca\.pem$/) });
  });

  test('nothing to route to is an error', () => {
    expect(told(load('identity: { anonymous: local }\n'))).toEqual(['1:1 error : there is nothing to route to']);
    expect(told(load(''))).toContain('1:1 error : there is nothing to route to');
    expect(told(load('identity: { anonymous: local }\nfleet: { count: 0 }\n'))[0]).toContain('nothing to route to');
  });
});

describe('values of later versions', () => {
  test.each([
    ['fleet: { count: 1 }\nlog: { format: pretty }', 'log.format', 'json'],
  ])('%j is an error that names what is allowed', (text, key, allowed) => {
    const { config, problems } = load(`identity: { anonymous: local }\n${text}\n`);
    expect(config).toBeUndefined();
    expect(problems).toMatchObject([{ key, message: 'is not available in this version', allowed, severity: 'error' }]);
  });
});

test('a static backend cannot have a name of a managed one', () => {
  expect(told(load('identity: { anonymous: local }\nbackends:\n  - { name: managed-u1, url: tcp://h:1 }\n')))
    .toEqual(['3:13 error backends[0].name: is a name of the servers that Skyport runs itself ["managed-u1"]']);
});

describe('warnings leave the config usable', () => {
  test.each([
    ['nobody can log in', 'fleet: { count: 1 }\n', 'every client is refused'],
    ['a public address without tokens', `${MINIMAL}listen: [{ tcp: 0.0.0.0:4321 }]\n`, 'whoever can reach this address gets in without a token'],
    ['a public listener for one user', 'fleet: { count: 1 }\nlisten: [{ tcp: "10.0.0.1:4321", as: bob }]\n', 'whoever can reach this address gets in without a token'],
    ['a fleet without count', 'identity: { anonymous: x }\nbackends: [{ name: a, url: tcp://h:1 }]\nfleet: { weight: 2 }\n', 'no server is started'],
    ['a quota of what is kept elsewhere', `${MINIMAL}sessions: { state: server, quota: { per_user: 1GiB } }\n`, 'with sessions.state server Skyport keeps no state'],
    ['one server twice', `${MINIMAL}backends: [{ name: a, url: tcp://h:1 }, { name: b, url: tcp://h:1 }]\n`, 'one CLI server would count twice'],
  ])('%s', (_name, text, message) => {
    const { config, problems } = load(text);
    expect(config).toBeDefined();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ severity: 'warning' });
    expect(problems[0]?.message).toContain(message);
  });
});
