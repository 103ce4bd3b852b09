// A sentence that appears for a while, and what screen readers are told.

import { $, h } from "./dom.js";

let hiding;

export function toast(text, link = null) {
  $(".toast")?.remove();
  clearTimeout(hiding);
  const note = h("div", { class: "toast", role: "alert" }, text, link ? " " : null, link ? h("a", { href: link.href }, link.text) : null);
  document.body.append(note);
  hiding = setTimeout(() => note.remove(), 7000);
}

/** Said politely: the reader finishes its sentence first. */
export function announce(text) {
  const region = $("#announcer");
  if (!region || !text.trim()) return;
  region.append(h("p", {}, text));
  while (region.childElementCount > 6) region.firstElementChild.remove();
}
