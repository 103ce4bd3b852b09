// Somebody begins to write: the model reads what stands before it, so that the answer begins sooner. Nobody waits for that.

import { inPassing } from "./http.js";
import { current } from "./talk.js";

let readTo = ""; // where in which conversation, and by whom

export function readAhead() {
  const { id, path, running, model, preset } = current();
  const place = { conversation: id, parent: path.at(-1)?.id ?? null, model, preset };
  if (running || readTo === JSON.stringify(place)) return;
  readTo = JSON.stringify(place);
  inPassing("POST", "/web/turns/ahead", place); // sending the question tells what is wrong
}
