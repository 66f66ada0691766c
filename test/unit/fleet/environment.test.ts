import { describe, expect, it } from 'vitest';
import { RESERVED_VARIABLES as REFUSED } from '../../../config/fleet-checks.js';
import { RESERVED_VARIABLES, serverEnvironment } from '../../../proxy/fleet/environment.js';

const IDENTITY = { directory: '/data/servers/managed-1', token: 'secret', marker: 'mark' };

describe('the environment of a managed server', () => {
  it('is the base, the server\'s own home, and what Skyport sets', () => {
    const inherited = { PATH: '/bin', LANG: 'de_DE.UTF-8', HOME: '/home/operator', MODEL_KEY: 'k', HTTPS_PROXY: 'http://u:p@proxy' };
    expect(serverEnvironment(inherited, {}, IDENTITY)).toEqual({
      PATH: '/bin', LANG: 'de_DE.UTF-8',
      HOME: '/data/servers/managed-1',
      COPILOT_HOME: '/data/servers/managed-1/home',
      COPILOT_CONNECTION_TOKEN: 'secret',
      SKYPORT_MANAGED: 'mark',
    });
  });

  it('is what fleet.env says on top', () => {
    const environment = serverEnvironment({ PATH: '/bin' }, { PATH: '/opt/bin', HOME: '/srv', COPILOT_OFFLINE: 'true' }, IDENTITY);
    expect(environment).toMatchObject({ PATH: '/opt/bin', HOME: '/srv', COPILOT_OFFLINE: 'true' });
  });

  it('does not let fleet.env replace the token, the home of the sessions or the marker', () => {
    const configured = { COPILOT_HOME: '/tmp', COPILOT_CONNECTION_TOKEN: 'known', SKYPORT_MANAGED: 'no' };
    expect(serverEnvironment({}, configured, IDENTITY)).toMatchObject({
      COPILOT_HOME: '/data/servers/managed-1/home', COPILOT_CONNECTION_TOKEN: 'secret', SKYPORT_MANAGED: 'mark',
    });
  });

  it('passes no variable that a hostile or careless parent sets', () => {
    const inherited = { LD_PRELOAD: 'x.so', NODE_OPTIONS: '--require x', COPILOT_GITHUB_TOKEN: 'gho', AWS_SECRET_ACCESS_KEY: 'k' };
    expect(Object.keys(serverEnvironment(inherited, {}, IDENTITY)).sort())
      .toEqual(['COPILOT_CONNECTION_TOKEN', 'COPILOT_HOME', 'HOME', 'SKYPORT_MANAGED']);
  });
});

describe('the environment of a server with a user of its own', () => {
  it('has nothing of Skyport\'s user, and temporary files of its own', () => {
    const inherited = { PATH: '/bin', USER: 'root', LOGNAME: 'root', TMPDIR: '/var/tmp', TMP: '/var/tmp', TEMP: '/var/tmp' };
    expect(serverEnvironment(inherited, {}, { ...IDENTITY, confined: true })).toEqual({
      PATH: '/bin', TMPDIR: '/data/servers/managed-1/tmp',
      HOME: '/data/servers/managed-1', COPILOT_HOME: '/data/servers/managed-1/home', COPILOT_CONNECTION_TOKEN: 'secret', SKYPORT_MANAGED: 'mark',
    });
  });
});

describe('the variables that Skyport sets itself', () => {
  it('are those that a configuration may not set', () => {
    expect([...RESERVED_VARIABLES].sort()).toEqual([...REFUSED].sort());
  });
});
