// A sentence that appears for a while, and what screen readers are told.

import { $, h } from "./dom.js";

const LASTS_MS = 7_000;
let end = () => {}; // of the sentence that is seen

/** `more` is where to go (`href`) or what to do (`act`) from here, by its `text`; who did not, `gone` is told. */
export function toast(text, more = null) {
  end();
  let hiding;
  const ended = (acted) => {
    clearTimeout(hiding);
    note.remove();
    end = () => {};
    acted ? more.act() : more?.gone?.();
  };
  const way = more && (more.act ? h("button", { type: "button", onclick: () => ended(true) }, more.text) : h("a", { href: more.href }, more.text));
  const note = h("div", { class: "toast", role: "alert" }, text, way ? " " : null, way);
  const stay = () => clearTimeout(hiding); // it is being read
  const hide = () => (stay(), (hiding = setTimeout(ended, LASTS_MS, false)));
  for (const [kind, then] of [["pointerenter", stay], ["focusin", stay], ["pointerleave", hide], ["focusout", hide]]) note.addEventListener(kind, then);
  end = () => ended(false);
  document.body.append(note);
  hide();
  return note;
}

/** Said politely: the reader finishes its sentence first. */
export function announce(text) {
  const region = $("#announcer");
  if (!region || !text.trim()) return;
  region.append(h("p", {}, text));
  while (region.childElementCount > 6) region.firstElementChild.remove();
}
