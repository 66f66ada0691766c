import { accessSync, constants } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findRuntime } from '../../../proxy/fleet/runtime.js';

/** A machine whose package is not the one that is installed here. */
const OTHER = process.platform === 'win32' ? 'linux' : 'win32';

describe('the runtime of managed servers', () => {
  it('is the bundled one, and may be executed', () => {
    const found = findRuntime();
    if (!('command' in found)) throw new Error(found.missing);
    expect(found.command).toHaveLength(1);
    expect(() => accessSync(found.command[0]!, constants.X_OK)).not.toThrow();
  });

  it('is the configured command, if there is one', () => {
    expect(findRuntime(['/opt/copilot', '--verbose'])).toEqual({ command: ['/opt/copilot', '--verbose'] });
  });

  it('is reported missing by the name of the package that should hold it', () => {
    const found = findRuntime(undefined, { platform: OTHER, arch: 'arm64', musl: true });
    const name = OTHER === 'win32' ? 'win32-arm64' : 'linuxmusl-arm64';
    expect(found).toEqual({ missing: expect.stringContaining(`@github/copilot-sdk-${name}`) as string });
  });

  it('is reported missing on a machine for which none is made', () => {
    expect(findRuntime(undefined, { platform: 'linux', arch: 's390x', musl: false }))
      .toEqual({ missing: 'no CLI server is bundled for linux on s390x; set fleet.command' });
  });
});
