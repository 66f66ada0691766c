import { describe, expect, it } from 'vitest';
import { PLAIN, profileOf, type Profile } from '../../../proxy/backends/profile.js';
import { nameOf } from './peer.js';

const profile = (params: Record<string, unknown>): Profile => profileOf(params) as Profile;

describe('the profile of a client', () => {
  it('is the plain one when it says nothing about itself, whatever its token', () => {
    expect(profile({ token: 'secret', supportedTaskKinds: undefined })).toBe(PLAIN);
    expect(profile({ enableGitHubTelemetryForwarding: false })).toBe(PLAIN);
  });

  it('has what goes into the connect of its links, and neither the token nor anything unknown', () => {
    const told = { supportedTaskKinds: ['agent'], clientInfo: { name: 'sdk' }, enableGitHubTelemetryForwarding: true };
    expect(profile({ ...told, token: 'secret', more: 1 }).params).toEqual(told);
    expect(profile({ ...told, token: 'secret' }).key).not.toContain('secret');
  });

  it('is equal for equal handshakes, in whatever order they came', () => {
    const one = profile({ supportedTaskKinds: ['shell', 'agent', 'shell'], clientInfo: { name: 'a', version: '1' } });
    const other = profile({ clientInfo: { version: '1', name: 'a' }, supportedTaskKinds: ['agent', 'shell'] });
    expect(one).toEqual(other);
  });

  it('differs where the handshakes do', () => {
    const profiles = [{}, { supportedTaskKinds: [] }, { supportedTaskKinds: ['agent'] }, { clientInfo: {} }, { clientInfo: { name: 'a' } },
      { enableGitHubTelemetryForwarding: true }];
    expect(new Set(profiles.map((params) => profile(params).key)).size).toBe(profiles.length);
  });

  it('tells whether telemetry is wanted', () => {
    expect([profile({ enableGitHubTelemetryForwarding: true }).telemetry, profile({ clientInfo: {} }).telemetry]).toEqual([true, false]);
  });

  it.each([
    { supportedTaskKinds: 'agent' }, { supportedTaskKinds: [1] }, { supportedTaskKinds: null },
    { clientInfo: 'sdk' }, { clientInfo: null }, { clientInfo: [] }, { clientInfo: { name: 'x'.repeat(3_000) } },
  ])('is refused when it is not what a server takes, or too large: %#', (params) => {
    expect(nameOf(profileOf(params))).toBe('SKYPORT_INVALID_PARAMS');
  });
});
