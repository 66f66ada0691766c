import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { defineTool, type PermissionRequest } from '@github/copilot-sdk';
import { expect, it, onTestFinished, vi } from 'vitest';
import { forEachTarget } from '../support/target.js';
import { turn } from '../support/sdk.js';

const TOUCH = '[[tool:bash {"command":"echo made > made.txt","description":"make a file"}]]';

forEachTarget('a permission prompt', (target) => {
  it('asks before a shell command, which runs in the working directory once approved', async () => {
    const workingDirectory = target.directory();
    const asked: PermissionRequest[] = [];
    const session = await target.client().createSession(target.session({
      workingDirectory,
      onPermissionRequest: (request) => {
        asked.push(request);
        return { kind: 'approve-once' };
      },
    }));
    const said = await turn(session, TOUCH);
    expect(asked.map((request) => request.kind)).toEqual(['shell']);
    expect(said.of('tool.execution_complete')[0]!.data.success).toBe(true);
    expect(readFileSync(path.join(workingDirectory, 'made.txt'), 'utf8')).toBe('made\n');
  });

  it('keeps a denied command from running and tells the model why', async () => {
    const workingDirectory = target.directory();
    const session = await target.client().createSession(target.session({
      workingDirectory, onPermissionRequest: () => ({ kind: 'reject', feedback: 'not today' }),
    }));
    const said = await turn(session, TOUCH);
    expect(said.of('tool.execution_complete')[0]!.data.success).toBe(false);
    expect(said.text).toContain('not today');
    expect(existsSync(path.join(workingDirectory, 'made.txt'))).toBe(false);
  });

  it('tells its story in order', async () => {
    const session = await target.client().createSession(target.session({ workingDirectory: target.directory() }));
    const said = await turn(session, TOUCH);
    expect(said.story).toEqual([
      'user.message', 'assistant.turn_start', 'assistant.message', 'tool.execution_start', 'permission.requested', 'permission.completed',
      'tool.execution_complete', 'assistant.turn_end', 'assistant.turn_start', 'assistant.message', 'assistant.turn_end', 'session.idle',
    ]);
  });

  it('asks for a custom tool that does not skip it', async () => {
    const kinds: string[] = [];
    const tool = defineTool('careful', { handler: () => 'did it' });
    const session = await target.client().createSession(target.session({
      tools: [tool],
      onPermissionRequest: (request) => {
        kinds.push(request.kind);
        return { kind: 'approve-once' };
      },
    }));
    expect((await turn(session, '[[tool:careful]]')).text).toBe('tools said: did it');
    expect(kinds).toEqual(['custom-tool']);
  });

  it('asks once more for the same command when it was approved only once', async () => {
    let asked = 0;
    const session = await target.client().createSession(target.session({
      workingDirectory: target.directory(),
      onPermissionRequest: () => {
        asked += 1;
        return { kind: 'approve-once' };
      },
    }));
    await turn(session, TOUCH);
    await turn(session, TOUCH);
    expect(asked).toBe(2);
  });

  it('counts a handler that throws as a denial', async () => {
    // The SDK prints the exception.
    const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    onTestFinished(() => printed.mockRestore());
    const workingDirectory = target.directory();
    const session = await target.client().createSession(target.session({
      workingDirectory, onPermissionRequest: () => { throw new Error('no idea'); },
    }));
    const said = await turn(session, TOUCH);
    expect(said.of('tool.execution_complete')[0]!.data.success).toBe(false);
    expect(existsSync(path.join(workingDirectory, 'made.txt'))).toBe(false);
  });

  it('reads and writes files below the working directory', async () => {
    const workingDirectory = target.directory();
    const file = path.join(workingDirectory, 'poem.txt');
    const session = await target.client().createSession(target.session({ workingDirectory }));
    await turn(session, `[[tool:create ${JSON.stringify({ path: file, file_text: 'roses are red\n' })}]]`);
    expect(readFileSync(file, 'utf8')).toContain('roses are red');
    const said = await turn(session, `[[tool:view ${JSON.stringify({ path: file })}]]`);
    expect(said.text).toContain('roses are red');
  });

  it('can be switched off for a session', async () => {
    let asked = 0;
    const session = await target.client().createSession(target.session({
      workingDirectory: target.directory(),
      onPermissionRequest: () => {
        asked += 1;
        return { kind: 'approve-once' };
      },
    }));
    await session.rpc.permissions.setApproveAll({ enabled: true });
    const said = await turn(session, TOUCH);
    expect(said.of('tool.execution_complete')[0]!.data.success).toBe(true);
    expect(asked).toBe(0);
  });
});
