// A menu that pops up: it opens below its button, takes the focus, and answers to the arrows.

import { $, $$ } from "./dom.js";

const EDGE = 8; // pixels that stay free at the window's border

/** Put an open menu below its button, and wholly on the screen. */
export function below(menu, button) {
  const place = button.getBoundingClientRect();
  menu.style.left = `${Math.max(EDGE, Math.min(place.left, innerWidth - menu.offsetWidth - EDGE))}px`;
  menu.style.top = `${Math.max(EDGE, Math.min(place.bottom + 4, innerHeight - menu.offsetHeight - EDGE))}px`;
}

/** Let the arrows walk through what `selector` finds in the menu. */
export function walked(menu, selector) {
  menu.addEventListener("keydown", (event) => {
    const stops = $$(selector, menu);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && stops.length) event.preventDefault(), stops.at((stops.indexOf(document.activeElement) + step) % stops.length).focus();
  });
}

/** A list of which one is chosen: radio buttons know the arrows themselves, Enter is done with it. */
export function picker(menu, button, done) {
  menu.addEventListener("toggle", (event) => {
    button.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState !== "open") return;
    below(menu, button);
    $("input:checked, input", menu)?.focus();
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input")) event.preventDefault(), menu.hidePopover(), done();
  });
}
