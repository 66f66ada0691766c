import { direct } from './direct.js';
import { haproxy } from './haproxy.js';
import { nginx } from './nginx.js';
import { jsonRpc, pipe } from './node-proxy.js';
import type { Rival } from './rival.js';
import { skyport } from './skyport.js';

export const RIVALS: readonly Rival[] = [direct, haproxy, nginx, pipe, jsonRpc, skyport];
