// Pieces of text in; they are gathered, and drawn at a pace that leaves the page most of its time. A drawing is a task of
// its own, apart from the frame that shows it, so that neither is long.

const PACE_MS = 33;
const REST = 4; // times as long as a drawing took, for other things
const FRAME_REST = 2; // times as long as the drawing and the frame that shows it took together

/** Tell `done` how long the next frame takes to be laid out and painted. */
const nextFrame = (done) => requestAnimationFrame(() => {
  const begun = performance.now();
  setTimeout(() => done(performance.now() - begun));
});

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
    this.#timer ||= setTimeout(() => this.#drawWhenDue(), this.#due - performance.now());
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
    const took = now - begun;
    this.#due = now + Math.max(PACE_MS, REST * took);
    nextFrame((frame) => (this.#due = Math.max(this.#due, performance.now() + FRAME_REST * (took + frame))));
  }

  /** The frame may have told meanwhile that the page needs a longer rest. */
  #drawWhenDue() {
    this.#timer = 0;
    const early = this.#due - performance.now();
    if (early > 1) this.push("");
    else this.flush();
  }
}
