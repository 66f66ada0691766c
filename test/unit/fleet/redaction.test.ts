import { describe, expect, it } from 'vitest';
import { Redaction } from '../../../proxy/fleet/redaction.js';

describe('a line', () => {
  it('has the names of secrets in their places', () => {
    const redaction = new Redaction({ token: 'abcdefgh', KEY: '12345678' });
    expect(redaction.blank('abcdefgh=12345678, abcdefgh')).toBe('[token]=[KEY], [token]');
  });

  it('keeps short values, which are in many lines by chance', () => {
    expect(new Redaction({ COPILOT_OFFLINE: 'true', PORT: '1234567' }).blank('true 1234567')).toBe('true 1234567');
  });

  it('shows no rest of a secret that another one is the beginning of', () => {
    expect(new Redaction({ A: 'password', B: 'password-and-more' }).blank('x password-and-more')).toBe('x [B]');
  });

  it('has none of the lines of a secret with several', () => {
    const redaction = new Redaction({ PEM: '-----BEGIN KEY-----\nMIIEpAIBAAKC\r\nabc\n' });
    expect(redaction.blank('MIIEpAIBAAKC')).toBe('[PEM]');
    expect(redaction.blank('-----BEGIN KEY-----')).toBe('[PEM]');
  });

  it('takes a secret as it is, not as a pattern', () => {
    expect(new Redaction({ KEY: '.*.*.*.*$&' }).blank('abcdefgh .*.*.*.*$&')).toBe('abcdefgh [KEY]');
  });

  it('has no beginning of a secret where it was cut', () => {
    const redaction = new Redaction({ KEY: 'abcdefgh-ijkl' });
    expect(redaction.blank('see abcdefgh-i…')).toBe('see [KEY]…');
    expect(redaction.blank('see abcdefgh-ijkl…')).toBe('see [KEY]…');
    expect(redaction.blank('see abc…')).toBe('see abc…');
  });
});
