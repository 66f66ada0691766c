import { describe, expect, it } from 'vitest';
import { faultOf } from '../../../proxy/store/disk-fault.js';
import { FileFault } from '../../../proxy/store/session-files.js';

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: something, open '/var/lib/skyport/sessions/ab/s1/files/a'`), { code, path: '/var/lib/skyport' });
}

describe('an error of the system', () => {
  it.each(['ENOENT', 'EEXIST', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'EINVAL'])('%s is a fault of the same code', (code) => {
    expect(faultOf(systemError(code), 'read /a')).toMatchObject({ name: 'FileFault', code });
  });

  it.each(['ENAMETOOLONG', 'ELOOP'])('%s is a name that cannot be', (code) => {
    expect(faultOf(systemError(code), 'read /a')).toMatchObject({ code: 'EINVAL' });
  });

  it.each(['ENOSPC', 'EACCES', 'EMFILE', 'EDQUOT', 'EROFS', 'ERR_STRING_TOO_LONG'])('%s is a failure of the store that names it, and no path of this machine', (code) => {
    expect(faultOf(systemError(code), 'write /a')).toMatchObject({ code: 'EIO', message: `write /a: the store failed (${code})` });
  });

  it('that is a fault already stays what it is, and a bug stays a bug', () => {
    const fault = new FileFault('ESTALE', 'over');
    const bug = new TypeError('undefined is not a function');
    expect(faultOf(fault, 'read /a')).toBe(fault);
    expect(faultOf(bug, 'read /a')).toBe(bug);
  });
});
