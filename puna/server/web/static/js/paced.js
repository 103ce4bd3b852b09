// Pieces of text in; they are gathered, and drawn at a pace that leaves the page most of its time. A drawing is a task of
// its own, apart from the frame that shows it, so that neither is long.

const PACE_MS = 33;
const REST = 4; // times as long as a drawing took, for other things

export class Paced {
  #draw;
  #waiting = "";
  #timer = 0;
  #due = 0;

  constructor(draw) {
    this.#draw = draw;
  }

  push(piece) {
    this.#waiting += piece;
    this.#timer ||= setTimeout(() => this.flush(), this.#due - performance.now());
  }

  /** Draw what waits at once. */
  flush() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (!this.#waiting) return;
    const [piece, begun] = [this.#waiting, performance.now()];
    this.#waiting = "";
    this.#draw(piece);
    const now = performance.now();
    this.#due = now + Math.max(PACE_MS, REST * (now - begun));
  }
}
