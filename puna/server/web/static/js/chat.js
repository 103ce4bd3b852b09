// The assistant's page: joins the conversation, the composer, the pickers and the keys.

import { $, $$ } from "./dom.js";
import "./page.js";
import { picker } from "./menus.js";
import { focus } from "./composer.js";
import { choose, current, leave, onRunning, stop } from "./talk.js";

for (const menu of $$(".choices")) picker(menu, $(`[popovertarget="${menu.id}"]`), focus);
for (const input of $$(".choices input")) {
  input.addEventListener("change", () => {
    const label = input.closest(".choices").dataset.label;
    $(`[popovertarget="${label}"] .chosen`).textContent = input.dataset.name;
    const dim = $(`[popovertarget="${label}"] .dim`);
    if (dim) dim.textContent = input.dataset.dim ?? "";
    choose(input.name, input.value || null);
    own(input.dataset.model);
  });
  input.closest(".choices").addEventListener("click", (event) => event.detail && event.target.matches("input") && (input.closest(".choices").hidePopover(), focus()));
}

/** A preset may bring its own model along; one that is not there any more is passed over. */
function own(model) {
  const input = model && $$(".choices [name=model]").find((one) => one.value === model);
  if (input && !input.checked) input.click();
}

const inTheOpen = () => document.activeElement === document.body && !$("dialog[open], :popover-open");

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && current().running && !$("dialog[open], :popover-open")) stop();
  const letter = [...event.key].length === 1 && !/[?\s]/.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (letter && inTheOpen()) focus(); // the letter lands in the field
});
document.addEventListener("puna:deleted", () => (leave(), focus()));
onRunning(() => inTheOpen() && focus()); // the button that had the focus is gone
