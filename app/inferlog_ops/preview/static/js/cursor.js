// The moment under the mouse in one chart, shown by all others of the dashboard.

export class Cursor {
  #followers = new Map();

  /** Tell `follower` of each move, until `leave(key)`. */
  follow(key, follower) {
    this.#followers.set(key, follower);
  }

  leave(key) {
    this.#followers.delete(key);
  }

  /** `moment`: a Date, or null when the mouse has gone. */
  move(moment) {
    for (const follower of this.#followers.values()) follower(moment);
  }
}
