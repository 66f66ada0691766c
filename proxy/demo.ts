/**
 * The guided tour: `skyport demo`. Three real CLI servers behind a Skyport, a stand-in model, two users
 * with the real SDK. It needs no account and no config, tells what happens as it happens, and fails if
 * anything is not as it says.
 *
 *   stage   Skyport in a temporary directory          cast     users and their conversations
 *   model   a model that knows only the history       scenes   the story       teller   its voice
 */
import { StandInModel } from './demo/model.js';
import { SCENES, type Play } from './demo/scenes.js';
import { Stage } from './demo/stage.js';
import { BrokenStory, stdoutVoice, Teller } from './demo/teller.js';

/** Milliseconds for the whole story; it takes a few seconds. */
const LONGEST = 55_000;

/** By convention 128 and the number of the signal. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** @returns the exit code: 0 when every check held, 1 when one did not, 128+n after a signal */
export async function runDemo(): Promise<number> {
  const tell = new Teller(stdoutVoice());
  const interruption = interruptions();
  const begun = performance.now();
  tell.title('Skyport: one port, many copilots');
  tell.say('A demo with real CLI servers and the real SDK. The model is a stand-in; no account is needed.');
  const stage = new Stage();
  let play: Play | undefined;
  let code: number;
  try {
    play = { stage, tell, model: await StandInModel.start(), users: [], talks: new Map() };
    code = await Promise.race([perform(play), interruption.happened]);
  } catch (error) {
    tell.failed(error instanceof BrokenStory ? `This did not happen: ${error.message}` : `The demo broke: ${String(error)}`);
    tell.quote(stage.log.join('\n'));
    code = 1;
  }
  if (code !== 0) tell.mute();
  const left = await clear(stage, play);
  interruption.forget();
  if (code !== 0) return code;
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  if (left.length > 0) {
    tell.failed(`These processes had to be killed: ${left.join(', ')}`);
    return 1;
  }
  tell.end(`Done: ${tell.checks} checks held in ${seconds} s. All processes are stopped, ${stage.directory} is removed.`);
  tell.say('Next: npm start, and README.md for pointing your own SDK program at it.');
  return 0;
}

async function perform(play: Play): Promise<number> {
  for (const { title, play: scene } of SCENES) {
    play.tell.scene(title);
    await scene(play);
  }
  return 0;
}

async function clear(stage: Stage, play: Play | undefined): Promise<number[]> {
  for (const user of play?.users ?? []) await user.leave();
  await play?.model.stop();
  return stage.clear();
}

/** Signals, and the end of all patience. They end the story; what was started is stopped all the same. */
function interruptions(): { happened: Promise<number>; forget(): void } {
  const listeners: Array<() => void> = [];
  const happened = new Promise<number>((resolve, reject) => {
    for (const [signal, code] of Object.entries(SIGNALS)) {
      const listener = (): void => resolve(code);
      process.on(signal, listener);
      listeners.push(() => process.off(signal, listener));
    }
    const timer = setTimeout(() => reject(new BrokenStory('the story took too long')), LONGEST);
    listeners.push(() => clearTimeout(timer));
  });
  // Nobody may be waiting for it any more.
  happened.catch(() => undefined);
  return { happened, forget: () => { for (const stop of listeners) stop(); } };
}
