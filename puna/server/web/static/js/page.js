// What every page with a sidebar does: the drawer on a phone, dialogs, keys, JSON forms.

import { $, $$ } from "./dom.js";
import { listen } from "./forms.js";
import { openSearch } from "./side.js";

const frame = $(".frame");
const opener = $(".opener");

function drawer(open) {
  frame.classList.toggle("open", open);
  opener?.setAttribute("aria-expanded", String(open));
  (open ? $(".side a") : opener)?.focus();
}

opener?.addEventListener("click", () => drawer(true));
$(".veil").addEventListener("click", () => drawer(false));

for (const button of $$("[data-dialog]")) button.addEventListener("click", () => document.getElementById(button.dataset.dialog).showModal());
for (const dialog of $$("dialog")) {
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  for (const button of $$("[data-close]", dialog)) button.addEventListener("click", () => dialog.close(button.dataset.close));
}

const typing = (node) => node.closest("input, textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  const ctrl = event.ctrlKey || event.metaKey;
  if (ctrl && event.key.toLowerCase() === "k") event.preventDefault(), openSearch();
  else if (ctrl && event.shiftKey && event.key.toLowerCase() === "o") event.preventDefault(), location.assign("/");
  else if (event.key === "?" && !ctrl && !(typing(event.target) && event.target.value !== "") && !$("dialog[open]")) event.preventDefault(), $("#keys").showModal();
  else if (event.key === "Escape" && frame.classList.contains("open")) drawer(false);
});

$(".tabs [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
listen();
