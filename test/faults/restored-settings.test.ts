/** What a client has set on its session holds after the CLI server under it was replaced. */
import { describe, expect, it } from 'vitest';
import { scopeOfEachTest } from '../support/scope.js';
import { turn } from '../support/sdk.js';
import { Site } from '../support/site.js';

const scope = scopeOfEachTest();

const TOUCH = '[[tool:bash {"command":"touch it","description":"touch"}]]';

async function replaceServer(site: Site): Promise<void> {
  await site.servers[0]!.kill9();
  await site.untilState('cli-1', 'down');
  await site.restartServer(0);
  await site.untilState('cli-1', 'up');
}

describe('after the server was killed and started again', () => {
  it('everything is still approved, and the model and the options are those that were set', async () => {
    const site = await Site.start(scope, { servers: 1 });
    let asked = 0;
    const session = await site.client().createSession({
      ...site.session(),
      onPermissionRequest: () => {
        asked += 1;
        return { kind: 'approve-once' };
      },
    });
    await turn(session, 'first');
    await session.rpc.permissions.setApproveAll({ enabled: true });
    await session.rpc.options.update({ excludedTools: ['glob'] });
    await session.setModel('gpt-4o');
    await replaceServer(site);

    const said = await turn(session, TOUCH);
    expect(said.of('tool.execution_complete')[0]!.data.success).toBe(true);
    expect(asked).toBe(0);
    const shown = site.model.about(TOUCH)[0]!;
    expect(shown.model).toBe('gpt-4o');
    expect(shown.tools).not.toContain('glob');
  });

  it('the mode is the one that was set', async () => {
    const site = await Site.start(scope, { servers: 1 });
    const session = await site.client().createSession(site.session());
    await turn(session, 'first');
    await session.rpc.mode.set({ mode: 'plan' });
    await replaceServer(site);
    await turn(session, 'second');
    expect(await session.rpc.mode.get()).toBe('plan');
  });
});
