import { describe, expect, test } from 'vitest';
import { load, told } from './scratch.js';

const file = (fleet: string) => `identity: { anonymous: local }\nfleet:\n  count: 1\n${fleet}`;

describe('the environment of managed servers', () => {
  test.each(['COPILOT_HOME', 'COPILOT_CONNECTION_TOKEN', 'SKYPORT_MANAGED'])('may not set %s, which Skyport does', (name) => {
    expect(told(load(file(`  env: { A: "1", ${name}: "hunter2" }\n  users: { alice: { env: { ${name}: { file: x } } } }\n`)))).toEqual([
      expect.stringMatching(new RegExp(`^4:\\d+ error fleet\\.env\\.${name}: is set by Skyport itself for each of its servers; take it out$`)),
      expect.stringMatching(new RegExp(`^5:\\d+ error fleet\\.users\\.alice\\.env\\.${name}: is set by Skyport itself`)),
    ]);
  });

  test('may say COPILOT_GITHUB_TOKEN where github_token does not', () => {
    expect(told(load(file('  users: { alice: { env: { COPILOT_GITHUB_TOKEN: "gho" } } }\n')))).toEqual([]);
    expect(told(load(file('  users: { alice: { github_token: "a", env: { COPILOT_GITHUB_TOKEN: "b" } } }\n'))))
      .toEqual([expect.stringContaining('warning fleet.users.alice.env.COPILOT_GITHUB_TOKEN: has no effect: github_token is given too, and wins')]);
  });
});

describe('a value from elsewhere', () => {
  test.each(['5', '{ file: 5 }', '{ command: run }', '{ file: a, command: [b] }', '[text]'])('cannot be %s', (value) => {
    expect(told(load(file(`  env: { KEY: ${value} }\n`)))).toEqual([
      expect.stringMatching(/^4:\d+ error fleet\.env\.KEY: is not a text(; put it in quotes|, a file or a command) \[a \w+\]$/),
    ]);
  });
});

describe('the uids of users', () => {
  test('are of one user each', () => {
    expect(told(load(file('  users:\n    alice: { uid: 5000 }\n    bob: { uid: 5001 }\n    carol: { uid: 5000 }\n'))))
      .toEqual(['7:19 error fleet.users.carol.uid: is already the uid of fleet.users.alice: each could read what the other has [5000]']);
  });

  test('lie outside of those that are given out', () => {
    const [problem, ...others] = told(load(file('  uids: { from: 5000, count: 100 }\n  users:\n    alice: { uid: 5099 }\n    bob: { uid: 5100 }\n')));
    expect(problem).toContain('error fleet.users.alice.uid: lies in fleet.uids, of which each uid may be given to another user [5099]');
    expect(others).toEqual([]);
  });
});
