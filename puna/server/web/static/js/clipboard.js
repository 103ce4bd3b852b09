// Text into the clipboard, also where the page came over plain HTTP and the browser offers no clipboard to it.

import { $, h } from "./dom.js";

function byHand(text) {
  const area = h("textarea", { class: "unseen", "aria-hidden": "true", tabindex: -1 });
  const focused = document.activeElement;
  area.value = text;
  ($("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  focused?.focus({ preventScroll: true });
}

export const copied = async (text) => (navigator.clipboard ? navigator.clipboard.writeText(text) : byHand(text));
