import { z } from 'zod';
import { parseAddress, parseBackendUrl, parseNodeAddress, parseRedisUrl } from './address.js';
import { ROLE_NAME, ROLE_NAME_ALLOWED, USER_NAME, USER_NAME_ALLOWED } from './names.js';
import { DURATION_PATTERN, SIZE_PATTERN, parseDuration, parseSize } from './units.js';

/**
 * The kinds of values that keys have. What each one says about itself goes into JSON Schema under
 * `x-` names and from there into messages and docs/configuration.md.
 */
declare module 'zod' {
  interface GlobalMeta {
    /** What a value is called in messages: `a duration`. */
    'x-noun'?: string;
    /** What is allowed, in words. */
    'x-allowed'?: string;
    'x-unit'?: 'ms' | 'bytes';
    /** Values of the design that this version does not have. */
    'x-later'?: string[];
    /** Accepted so that a file for a later version loads, and without any effect. */
    'x-not-in-force'?: boolean;
    /** A change is used only after a restart; counts for everything below it. */
    'x-restart'?: boolean;
    /** Never printed, not even in part; counts for everything below it. */
    'x-secret'?: boolean;
  }
}

/** A duration in text, milliseconds once loaded. The bounds are inclusive, and are themselves durations. */
export function duration(min: string, max: string) {
  return measure('a duration', DURATION_PATTERN, parseDuration, min, max).meta({
    pattern: DURATION_PATTERN,
    'x-noun': 'a duration',
    'x-allowed': `${min} to ${max}, with one of the units ms s m h d`,
    'x-unit': 'ms',
  });
}

/** A size in text, bytes once loaded. The bounds are inclusive, and are themselves sizes. */
export function size(min: string, max: string) {
  return measure('a size', SIZE_PATTERN, parseSize, min, max).meta({
    pattern: SIZE_PATTERN,
    'x-noun': 'a size',
    'x-allowed': `${min} to ${max}, with one of the units B KB MB GB KiB MiB GiB`,
    'x-unit': 'bytes',
  });
}

function measure(
  noun: string,
  pattern: string,
  parse: (text: string) => number | undefined,
  min: string,
  max: string,
) {
  const [lowest, highest] = [parse(min) ?? 0, parse(max) ?? Number.MAX_SAFE_INTEGER];
  return z.string().transform((text, context) => {
    const value = new RegExp(pattern).test(text) ? parse(text) : undefined;
    if (value === undefined) context.addIssue({ code: 'custom', message: `is not ${noun}` });
    else if (value < lowest || value > highest) context.addIssue({ code: 'custom', message: 'is out of range' });
    else return value;
    return z.NEVER;
  });
}

/** A whole number. */
export function whole(min: number, max: number) {
  return z.int().min(min).max(max).meta({ 'x-noun': 'a whole number', 'x-allowed': `${min} to ${max}` });
}

/** A path of the file system; a relative one starts at the directory of the file it is written in. */
export function path() {
  return z.string().min(1).meta({ 'x-noun': 'a path', 'x-allowed': 'relative ones start at the directory of this file' });
}

export function user() {
  return z.string().regex(USER_NAME, 'is not a user name')
    .meta({ 'x-noun': 'a user name', 'x-allowed': USER_NAME_ALLOWED });
}

export function role() {
  return z.string().regex(ROLE_NAME, 'is not a role name')
    .meta({ 'x-noun': 'a role name', 'x-allowed': ROLE_NAME_ALLOWED });
}

/** A user's name, in which `$<group>` stands for what a group of the entry's pattern finds. */
export function sharedUser() {
  return z.string().refine((text) => USER_NAME.test(withoutGroups(text)), 'is not a user name')
    .meta({ 'x-noun': 'a user name', 'x-allowed': `${USER_NAME_ALLOWED}; $<name> stands for a group of the pattern` });
}

/** The same for a role. */
export function sharedRole() {
  return z.string().refine((text) => ROLE_NAME.test(withoutGroups(text)), 'is not a role name')
    .meta({ 'x-noun': 'a role name', 'x-allowed': `${ROLE_NAME_ALLOWED}; $<name> stands for a group of the pattern` });
}

/** The names of the groups that a text refers to. */
export function groupsIn(text: string): string[] {
  return [...text.matchAll(GROUP)].map(([, name]) => name as string);
}

const GROUP = /\$<(\w+)>/g;

function withoutGroups(text: string): string {
  return text.replace(GROUP, 'x');
}

export function address() {
  return z.string().refine((text) => parseAddress(text) !== undefined, 'is not host:port').meta({
    'x-noun': 'an address',
    'x-allowed': 'host:port, such as 127.0.0.1:4321 or [::1]:4321; port 0 takes any free one',
  });
}

export function backendUrl() {
  return z.string().refine((text) => parseBackendUrl(text) !== undefined, 'is not the URL of a backend').meta({
    'x-noun': 'a URL',
    'x-allowed': 'tcp://host:port, such as tcp://10.0.0.5:4321',
  });
}

/** The password of Redis is in it. */
export function redisUrl() {
  return z.string().refine((text) => parseRedisUrl(text), 'is not the URL of a Redis').meta({
    'x-noun': 'a URL',
    'x-allowed': 'redis://[user:password@]host[:port][/database], or rediss:// for TLS',
    'x-secret': true,
  });
}

export function redisNode() {
  return z.string().refine((text) => parseNodeAddress(text) !== undefined, 'is not host:port').meta({
    'x-noun': 'an address',
    'x-allowed': 'host:port, such as 10.0.0.5:26379',
  });
}

export function origin() {
  return z.string().regex(/^https?:\/\/[^/\s?#@]+$/, 'is not an origin').meta({
    'x-noun': 'an origin',
    'x-allowed': 'scheme and host, without a path: https://app.example.com',
  });
}

export function flag() {
  return z.boolean().meta({ 'x-noun': 'true or false', 'x-allowed': 'true, false' });
}

/** A text that is never shown. */
export function secret() {
  return z.string().min(1).meta({ 'x-noun': 'a text', 'x-secret': true });
}
