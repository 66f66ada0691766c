/** The alphabets of names that operators give. */

/**
 * A user. User names become directory names (`fleet.working_directory/<user>`), so no name may
 * climb out of its parent or hide: it starts with a letter or digit and has no `..`.
 */
export const USER_NAME = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
export const USER_NAME_ALLOWED = '1 to 64 of A-Z a-z 0-9 . _ @ -, beginning with a letter or digit, without ".."';

/** A backend; also a metric label. */
export const BACKEND_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
export const BACKEND_NAME_ALLOWED = '1 to 63 of a-z 0-9 -, beginning with a letter or digit';

export const ROLE_NAME = /^[a-z][a-z0-9_-]{0,62}$/;
export const ROLE_NAME_ALLOWED = '1 to 63 of a-z 0-9 _ -, beginning with a letter';
