// Work that may wait, in slices so short that a frame comes between them.

const SLICE_MS = 8;

const pause = () => new Promise((done) => (globalThis.requestIdleCallback ?? setTimeout)(done, { timeout: 200 })); // no timeout is 0

/** Do the jobs one after another, and let the page breathe; resolves when all are done. */
export async function inSlices(jobs) {
  let until = 0;
  for (const job of jobs) {
    if (performance.now() >= until) {
      await pause();
      until = performance.now() + SLICE_MS;
    }
    job();
  }
}
