/**
 * What clients usually say at `connect`, so that a link for the next one can be opened before he comes. Only what
 * clients of two users have said: what one of them says of himself is told to no server but his own.
 */
import type { Profile } from './profile.js';

/** Profiles that are remembered; a client may call itself whatever it likes. */
const MOST = 64;

export class UsualProfile {
  /** Who said it first, by the profile's key; the oldest first. */
  private readonly first = new Map<string, string>();
  private shared: Profile | undefined;

  /** The one that was said last by somebody who was not the first to say it. */
  get profile(): Profile | undefined {
    return this.shared;
  }

  /** A client of the user has connected. */
  said(profile: Profile, user: string): void {
    const first = this.first.get(profile.key);
    if (first === undefined) {
      this.first.set(profile.key, user);
      if (this.first.size > MOST) this.first.delete(this.first.keys().next().value!);
    } else if (first !== user) {
      this.shared = profile;
    }
  }
}
