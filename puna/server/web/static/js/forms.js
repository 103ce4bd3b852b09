// Forms travel as JSON with our header, so that no foreign page can send one.
// data-method, data-next (where to go), data-show (the element that tells the answer's `secret`), data-instant (on each change).

import { copied } from "./clipboard.js";
import { $, $$ } from "./dom.js";
import { call, Refused } from "./http.js";
import { toast } from "./toast.js";

function value(field) {
  if (field.type === "checkbox") return field.checked;
  if (field.type === "number") return field.value === "" ? null : Number(field.value);
  return field.value;
}

function body(form) {
  const fields = [...form.elements].filter((field) => field.name && !field.disabled && !(field.type === "radio" && !field.checked));
  const many = fields.filter((field) => field.dataset.many !== undefined);
  const single = fields.filter((field) => field.dataset.many === undefined);
  const lists = {};
  for (const field of many) (lists[field.name] ??= []).push(...(field.checked ? [field.value] : []));
  return { ...Object.fromEntries(single.map((field) => [field.name, value(field)])), ...lists };
}

function wrong(form, message) {
  if (!message && !$(".wrong", form)) return;
  const place = $(".wrong", form);
  if (place) place.textContent = message;
  else toast(message);
}

/** Ask before what cannot be undone, in the page's own dialog. */
function sure(form) {
  const dialog = $("#sure");
  $("h2", dialog).textContent = form.dataset.sure;
  $("[data-close=yes]", dialog).textContent = $("button", form).textContent.trim() || "Delete"; // a picture alone
  dialog.returnValue = "";
  dialog.showModal();
  $("[data-close='']", dialog).focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

function succeed(form, answer) {
  if (form.dataset.show) {
    const place = $(form.dataset.show);
    for (const code of $$("code", place)) code.textContent = (code.dataset.around ?? "KEY").replace("KEY", answer.secret);
    place.hidden = false;
    form.hidden = true;
    $("button", place)?.focus();
  } else if (form.dataset.apply) {
    Object.assign(document.documentElement.dataset, answer);
  } else if (form.dataset.instant === undefined) {
    const next = form.dataset.next ?? answer?.next;
    next ? location.assign(next) : location.reload();
  }
  if (form.dataset.said) toast(form.dataset.said);
}

async function send(form) {
  if (form.dataset.sure && !(await sure(form))) return;
  const buttons = $$("button", form);
  for (const button of buttons) button.disabled = true;
  try {
    wrong(form, "");
    succeed(form, await call(form.dataset.method ?? "POST", form.getAttribute("action"), form.dataset.method === "DELETE" ? undefined : body(form)));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    wrong(form, error.message);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

export function listen() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-json]");
    if (form) event.preventDefault(), send(form);
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-instant]");
    if (form) send(form);
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await copied($("code", button.parentElement).textContent);
    const label = $("span", button) ?? button;
    label.textContent = "Copied";
    setTimeout(() => (label.textContent = "Copy"), 1600);
  });
}
