// Time under the mouse in one chart, shown in all other charts of the dashboard.

export class Cursor {
  #followers = new Map();

  /** Call `follower` on each move, until `leave(key)`. */
  follow(key, follower) {
    this.#followers.set(key, follower);
  }

  leave(key) {
    this.#followers.delete(key);
  }

  /** `moment`: a Date, or null when the mouse has left. */
  move(moment) {
    for (const follower of this.#followers.values()) follower(moment);
  }
}
