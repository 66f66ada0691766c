import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { ConfigWatcher, type Reload } from '../../../config/watch.js';
import { put, scratch } from './scratch.js';

const config = (clients: number, more = '') => `identity: { anonymous: local${more} }\nfleet: { count: 1 }\nlimits: { clients: ${clients} }\n`;

/** A watcher whose reloads can be awaited one after the other. */
class Watched {
  static open: Watched[] = [];
  readonly reloads: Reload[] = [];
  readonly watcher: ConfigWatcher;
  #waiting: (() => void) | undefined;

  constructor(readonly file: string, extraFiles?: () => string[]) {
    this.watcher = new ConfigWatcher(file, (reload) => {
      this.reloads.push(reload);
      this.#waiting?.();
    }, extraFiles);
    Watched.open.push(this);
  }

  /** The first reload, from now on or before, that is so. */
  async until(wanted: (reload: Reload) => boolean): Promise<Reload> {
    for (;;) {
      const found = this.reloads.find(wanted);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => { this.#waiting = resolve; });
    }
  }

  clients(n: number): Promise<Reload> {
    return this.until((reload) => reload.config?.limits.clients === n);
  }
}

afterEach(async () => {
  await Promise.all(Watched.open.splice(0).map(({ watcher }) => watcher.close()));
});

async function watching(text = config(1)): Promise<Watched> {
  const watched = new Watched(put(scratch(), 'etc/skyport.yaml', text));
  await watched.watcher.start();
  return watched;
}

describe('a change is seen', () => {
  test('when the file is written', async () => {
    const watched = await watching();
    writeFileSync(watched.file, config(2));
    expect((await watched.clients(2)).changed).toEqual([watched.file]);
  });

  test('when an editor writes another file and renames it over, again and again', async () => {
    const watched = await watching();
    for (const n of [2, 3, 4]) {
      writeFileSync(`${watched.file}.tmp`, config(n));
      renameSync(`${watched.file}.tmp`, watched.file);
      await watched.clients(n);
    }
  });

  test('when an editor moves the file away and writes a new one', async () => {
    const watched = await watching();
    renameSync(watched.file, `${watched.file}~`);
    writeFileSync(watched.file, config(2));
    await watched.clients(2);
  });

  test('when the file disappears, and when it comes back', async () => {
    const watched = await watching();
    unlinkSync(watched.file);
    const gone = await watched.until((reload) => reload.config === undefined);
    expect(gone.problems[0]?.message).toBe('cannot be read: there is no such file');
    writeFileSync(watched.file, config(2));
    await watched.clients(2);
  });

  test('when Kubernetes swaps the link to the directory of a volume, again and again', async () => {
    const directory = scratch();
    const publish = (version: string, n: number) => {
      put(directory, `..${version}/skyport.yaml`, config(n));
      symlinkSync(`..${version}`, join(directory, '..data_tmp'));
      renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    };
    publish('one', 1);
    symlinkSync(join('..data', 'skyport.yaml'), join(directory, 'skyport.yaml'));
    const watched = new Watched(join(directory, 'skyport.yaml'));
    await watched.watcher.start();
    publish('two', 2);
    rmSync(join(directory, '..one'), { recursive: true });
    await watched.clients(2);
    publish('three', 3);
    rmSync(join(directory, '..two'), { recursive: true });
    await watched.clients(3);
  });

  test('when the file is a link and its target is written', async () => {
    const directory = scratch();
    const target = put(directory, 'real/skyport.yaml', config(1));
    mkdirSync(join(directory, 'etc'));
    symlinkSync(target, join(directory, 'etc/skyport.yaml'));
    const watched = new Watched(join(directory, 'etc/skyport.yaml'));
    await watched.watcher.start();
    writeFileSync(target, config(2));
    await watched.clients(2);
  });

  test('when one of the other files is written', async () => {
    const directory = scratch();
    const tokens = put(directory, 'secrets/tokens.yaml', '[]');
    const watched = new Watched(put(directory, 'etc/skyport.yaml', config(1)), () => [tokens]);
    await watched.watcher.start();
    writeFileSync(tokens, '[] # changed');
    expect((await watched.until(() => true)).changed).toEqual([tokens]);
  });

  test('in a file that only the new configuration names', async () => {
    const directory = scratch();
    const tokens = put(directory, 'secrets/tokens.yaml', '[]');
    let extra: string[] = [];
    const watched: Watched = new Watched(put(directory, 'etc/skyport.yaml', config(1)), () => extra);
    await watched.watcher.start();
    extra = [tokens];
    writeFileSync(watched.file, config(2));
    await watched.clients(2);
    writeFileSync(tokens, '[] # changed');
    await watched.until((reload) => reload.changed.includes(tokens));
  });

  test('in such a file at the very moment the reload is told of', async () => {
    const directory = scratch();
    const tokens = join(directory, 'tokens.yaml');
    let changed: string[][] = [];
    const watcher = new ConfigWatcher(put(directory, 'skyport.yaml', config(1)), (reload) => {
      if (changed.push(reload.changed) === 1) writeFileSync(tokens, '[]');
    }, (loaded) => (loaded?.limits.clients === 2 ? [tokens] : []));
    await watcher.start();
    writeFileSync(join(directory, 'skyport.yaml'), config(2));
    watcher.reload();
    watcher.reload();
    expect(changed).toEqual([[join(directory, 'skyport.yaml')], []]);
    changed = [];
    watcher.look();
    await watcher.close();
  });

  test('that was made while the watcher was not ready yet', async () => {
    const watched = new Watched(put(scratch(), 'skyport.yaml', config(1)));
    const ready = watched.watcher.start();
    writeFileSync(watched.file, config(2));
    await watched.clients(2);
    await ready;
  });
});

test('a mistake is told and no configuration given', async () => {
  const watched = await watching();
  writeFileSync(watched.file, 'limits: { clients: many }\n');
  const reload = await watched.until(() => true);
  expect(reload.config).toBeUndefined();
  expect(reload.problems.map((p) => [p.line, p.key])).toContainEqual([1, 'limits.clients']);
});

test('a burst of writes is one reload', async () => {
  const watched = await watching();
  for (let n = 2; n <= 20; n++) writeFileSync(watched.file, config(n));
  await watched.clients(20);
  expect(watched.reloads).toHaveLength(1);
});

test('a write that leaves the content as it was is no reload', async () => {
  const watched = await watching();
  writeFileSync(watched.file, config(1));
  // Longer than a burst, so that the next write is not taken together with this one.
  await sleep(400);
  writeFileSync(watched.file, config(2));
  await watched.clients(2);
  expect(watched.reloads).toHaveLength(1);
});

test('reload() reads at once, also when nothing changed', async () => {
  const watched = await watching();
  watched.watcher.reload();
  expect(watched.reloads).toMatchObject([{ changed: [], config: { limits: { clients: 1 } } }]);
});

test('after close nothing is told', async () => {
  const watched = await watching();
  await watched.watcher.close();
  writeFileSync(watched.file, config(2));
  watched.watcher.reload();
  expect(watched.reloads).toEqual([]);
});

test('close before the watcher is ready ends start', async () => {
  const watched = new Watched(put(scratch(), 'skyport.yaml', config(1)));
  const ready = watched.watcher.start();
  await watched.watcher.close();
  await ready;
  expect(watched.reloads).toEqual([]);
});
