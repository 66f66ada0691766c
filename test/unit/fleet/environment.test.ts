import { describe, expect, it } from 'vitest';
import { serverEnvironment } from '../../../proxy/fleet/environment.js';

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
