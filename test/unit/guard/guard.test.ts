import { describe, expect, test } from 'vitest';
import { Guard, type GuardPolicy } from '../../../proxy/guard/guard.js';
import { isRefusal } from '../../../proxy/protocol/errors.js';
import { lookup, type MethodSpec } from '../../../proxy/protocol/catalogue.js';

const caller = { user: 'alice', roles: new Set<string>() };
const tenant: GuardPolicy = { profile: 'tenant', open: {}, workingDirectory: '/srv/work' };

function spec(name: string): MethodSpec {
  const found = lookup(name);
  if (found === undefined) throw new Error(`no such method: ${name}`);
  return found;
}

function params(policy: GuardPolicy, method: string, values: Record<string, unknown>, owner = 'alice') {
  return new Guard(policy).params(caller, owner, spec(method), Object.keys(values), () => values);
}

function message(verdict: unknown): string {
  return isRefusal(verdict) ? verdict.message : '';
}

describe('parameters that are sent on', () => {
  test('a session that is created without a directory gets the owner\'s', () => {
    expect(params(tenant, 'session.create', { model: 'm', enableFileHooks: false })).toEqual({
      replace: { model: 'm', enableFileHooks: false, workingDirectory: '/srv/work/alice' },
    });
  });

  test('the directory is the owner\'s, not the service principal\'s that calls', () => {
    expect(params(tenant, 'session.create', {}, 'bob')).toMatchObject({ replace: { workingDirectory: '/srv/work/bob' } });
  });

  test('null stands for no directory', () => {
    expect(params(tenant, 'session.create', { workingDirectory: null })).toMatchObject({ replace: { workingDirectory: '/srv/work/alice' } });
  });

  test('a session that is resumed keeps the directory that it has', () => {
    expect(params(tenant, 'session.resume', { sessionId: 's', enableFileHooks: false })).toEqual({});
  });

  test('a relative directory starts from the owner\'s', () => {
    expect(params(tenant, 'session.resume', { workingDirectory: 'app' })).toMatchObject({ replace: { workingDirectory: '/srv/work/alice/app' } });
  });

  test('further directories start from the working directory', () => {
    expect(params(tenant, 'session.create', { workingDirectory: 'app', additionalDirectories: ['../lib'] })).toMatchObject({
      replace: { workingDirectory: '/srv/work/alice/app', additionalDirectories: ['/srv/work/alice/lib'] },
    });
  });

  test('a path is sent without its detours', () => {
    expect(params(tenant, 'session.send', { sessionId: 's', attachments: [{ type: 'file', path: '/srv/work/alice/x/../a' }] })).toEqual({
      replace: { sessionId: 's', attachments: [{ type: 'file', path: '/srv/work/alice/a' }] },
    });
  });

  test('what was judged inside of a parameter is what is sent', () => {
    const mcpServers = { a: { type: 'http', url: 'https://x.example' } };
    expect(params(tenant, 'session.resume', { mcpServers, enableFileHooks: false })).toEqual({ replace: { mcpServers, enableFileHooks: false } });
  });

  test('file hooks, which a server runs by default, are switched off', () => {
    expect(params(tenant, 'session.resume', { sessionId: 's' })).toEqual({ replace: { sessionId: 's', enableFileHooks: false } });
  });

  test('file hooks stay as they are where their rule is open', () => {
    expect(params({ ...tenant, open: { '*': ['config_discovery'] } }, 'session.resume', { sessionId: 's' })).toEqual({});
  });

  test('under profile trusted nothing is added', () => {
    expect(params({ profile: 'trusted', open: {}, workingDirectory: '/srv/work' }, 'session.create', { workingDirectory: '/etc' })).toEqual({});
  });

  test('without a configured root no directory is added', () => {
    expect(params({ profile: 'tenant', open: {} }, 'session.create', { enableFileHooks: false })).toEqual({});
  });

  test('without a configured root no directory may be named', () => {
    expect(params({ profile: 'tenant', open: {} }, 'session.create', { workingDirectory: '/srv/work/alice' })).toMatchObject({ rule: 'working_directory' });
  });

  test('an opened working_directory lets any directory pass as it is', () => {
    const open = { ...tenant, open: { '*': ['working_directory'] } } as const;
    expect(params(open, 'session.permissions.paths.add', { path: '/etc/../var' })).toEqual({});
  });
});

describe('parsing', () => {
  const never = () => {
    throw new Error('parsed without need');
  };

  test('parameters that no rule looks at are not parsed', () => {
    expect(new Guard(tenant).params(caller, 'alice', spec('session.send'), ['sessionId', 'prompt'], never)).toEqual({});
  });

  test('parameters whose rules are open are not parsed', () => {
    expect(new Guard({ profile: 'trusted', open: {} }).params(caller, 'alice', spec('session.send'), ['sessionId', 'attachments'], never)).toEqual({});
  });

  test('parameters are parsed once', () => {
    let times = 0;
    new Guard(tenant).params(caller, 'alice', spec('session.create'), ['configDir', 'cloud', 'memory'], () => (times++, {}));
    expect(times).toBe(1);
  });

  test('a parameter that is given twice is refused', () => {
    const verdict = new Guard(tenant).params(caller, 'alice', spec('session.create'), ['mcpServers', 'model', 'mcpServers'], never);
    expect(verdict).toMatchObject({ name: 'SKYPORT_INVALID_PARAMS' });
  });

  test('a parameter of the wrong type is refused as such', () => {
    const wrong = [['mcpServers', 1], ['customAgents', {}], ['workingDirectory', 7], ['additionalDirectories', 'x'], ['largeOutput', []]] as const;
    expect(wrong.map(([key, value]) => params(tenant, 'session.create', { [key]: value }))).toEqual(
      wrong.map(() => expect.objectContaining({ name: 'SKYPORT_INVALID_PARAMS' })),
    );
  });

  test('nesting without end is refused, not followed', () => {
    let headers: Record<string, unknown> = {};
    for (let depth = 0; depth < 5000; depth++) headers = { headers };
    expect(params(tenant, 'session.create', { mcpServers: { a: { type: 'http', url: 'https://x.example', headers } } })).toMatchObject({ rule: 'host_environment' });
  });

  test('names that objects inherit are not taken for checks', () => {
    expect(params({ profile: 'trusted', open: {} }, 'session.create', { constructor: 1, toString: 2 })).toEqual({});
  });
});

describe('refusals', () => {
  test('of a method name the method and the rule', () => {
    const refusal = new Guard(tenant).method(caller, 'alice', spec('session.shell.exec'));
    expect(refusal).toMatchObject({ name: 'SKYPORT_METHOD_REFUSED', rule: 'shell_exec', message: 'Method session.shell.exec is refused (rule shell_exec)' });
  });

  test('of a provider name the alternative', () => {
    const refusal = new Guard(tenant).method(caller, 'alice', spec('llmInference.setProvider'));
    expect(refusal).toMatchObject({ name: 'SKYPORT_PROVIDER_REFUSED', message: expect.stringContaining('`provider` in session.create') as string });
  });

  test('of a parameter name method, path and rule', () => {
    const verdict = params(tenant, 'session.create', { customAgents: [{ name: 'a', mcpServers: { srv: { command: 'x' } } }] });
    expect(message(verdict)).toBe('Parameter customAgents[0].mcpServers.srv of session.create starts a command (rule mcp_commands)');
  });

  test('never repeat a value', () => {
    const secret = 'hunter2';
    const verdicts = [
      params(tenant, 'session.create', { workingDirectory: `/${secret}` }),
      params(tenant, 'session.create', { mcpServers: { a: { type: secret, url: secret, headers: { a: secret } } } }),
      params(tenant, 'session.create', { mcpServers: { a: { type: 'http', url: `https://${secret}/$X` } } }),
      params(tenant, 'session.create', { envValueMode: secret }),
      params(tenant, 'session.commands.invoke', { name: 'session', input: secret }),
      params(tenant, 'session.permissions.handlePendingPermissionRequest', { result: { kind: secret } }),
    ];
    expect(verdicts.map((verdict) => isRefusal(verdict) && !verdict.message.includes(secret))).toEqual(verdicts.map(() => true));
  });

  test('cut short a name that a client made long', () => {
    expect(message(params(tenant, 'session.create', { ['x'.repeat(10_000)]: 1 })).length).toBeLessThan(200);
  });
});
