// Lets a few things happen at a time, first come, first served.

export class Queue {
  #free;
  #waiting = [];

  constructor(places) {
    this.#free = places;
  }

  /** Run `work` when a slot is free; an aborted `signal` removes it from the queue. */
  async run(work, signal) {
    await this.#place(signal);
    try {
      return await work();
    } finally {
      this.#free += 1;
      this.#next();
    }
  }

  #place(signal) {
    return new Promise((resolve, reject) => {
      const turn = { resolve, signal };
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      signal.addEventListener("abort", () => {
        this.#waiting = this.#waiting.filter((other) => other !== turn);
        reject(signal.reason);
      });
      this.#waiting.push(turn);
      this.#next();
    });
  }

  #next() {
    while (this.#free > 0 && this.#waiting.length > 0) {
      const turn = this.#waiting.shift();
      // A rejected entry would keep its slot forever.
      if (turn.signal.aborted) continue;
      this.#free -= 1;
      turn.resolve();
    }
  }
}
