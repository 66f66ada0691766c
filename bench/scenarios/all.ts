import { idle } from './idle.js';
import { large } from './large.js';
import { crowd, pingPong, pipelined } from './requests.js';
import { processes } from './processes.js';
import { runtime } from './runtime.js';
import type { Scenario } from './scenario.js';
import { storm } from './storm.js';
import { bulk, growth, paced, unpaced } from './streams.js';

export const SCENARIOS: readonly Scenario[] = [runtime, pingPong, pipelined, paced, unpaced, bulk, large, idle, storm, growth, crowd, processes];
