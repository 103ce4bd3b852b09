// The assistant's page: joins the conversation, the composer, the pickers and the keys.

import { $, $$ } from "./dom.js";
import "./page.js";
import { picker } from "./menus.js";
import { focus } from "./composer.js";
import { choose, current, stop } from "./talk.js";

for (const menu of $$(".choices")) picker(menu, $(`[popovertarget="${menu.id}"]`), focus);
for (const input of $$(".choices input")) {
  input.addEventListener("change", () => {
    const label = input.closest(".choices").dataset.label;
    $(`[popovertarget="${label}"] .chosen`).textContent = input.dataset.name;
    const dim = $(`[popovertarget="${label}"] .dim`);
    if (dim) dim.textContent = input.dataset.dim ?? "";
    choose(input.name, input.value || null);
  });
  input.closest(".choices").addEventListener("click", (event) => event.detail && event.target.matches("input") && (input.closest(".choices").hidePopover(), focus()));
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && current().running && !$("dialog[open], :popover-open")) stop();
});
