// The sidebar: what was talked about; rename, export, delete; search; the meter of what is left.

import { $, $$, h, icon } from "./dom.js";
import { call, inPassing, told } from "./http.js";
import { below, walked } from "./menus.js";
import { toast } from "./toast.js";

const list = $(".talks");
const menu = $("#talk-menu");

function item(conversation) {
  const link = h("a", { href: `/c/${conversation.id}`, title: conversation.title }, conversation.title);
  const more = h("button", { type: "button", class: "quiet", "aria-label": `More about ${conversation.title}`, "aria-haspopup": "menu", "data-more": conversation.id }, icon("more"));
  return h("li", { "data-talk": conversation.id }, link, more);
}

const find = (id) => $(`[data-talk="${CSS.escape(id)}"]`, list);

function today() {
  const there = $("[data-day=today]", list);
  if (there) return there;
  const section = h("section", { "data-day": "today" }, h("h2", {}, "Today"), h("ul"));
  $(".none", list)?.remove();
  list.prepend(section);
  return section;
}

/** A conversation in which something was said comes first, also one that has just begun. */
export function remember(conversation) {
  const entry = find(conversation.id) ?? item(conversation);
  const left = entry.closest("section");
  if (entry !== $("li", today())) $("ul", today()).prepend(entry);
  if (left && !$("li", left)) left.remove();
  $(".side .act[aria-current]")?.removeAttribute("aria-current");
  $("a", entry).setAttribute("aria-current", "page");
}

export function retitle({ id, title }) {
  const entry = find(id);
  if (entry) Object.assign($("a", entry), { textContent: title, title });
  if (location.pathname === `/c/${id}`) {
    document.title = `${title} · Puna`;
    const heading = $(".head .title");
    if (heading) heading.textContent = title;
  }
}

export function showLeft(left) {
  const meter = $(".left");
  if (!meter || !left) return;
  $("b", meter).textContent = left.words;
  const bar = $("progress", meter);
  if (bar && left.share !== null) Object.assign(bar, { value: left.share }), bar.classList.toggle("low", left.share < 0.15);
}

// --- the menu of one conversation -----------------------------------------------------------------------------------

let subject = null;

function openMenu(button) {
  subject = button.dataset.more;
  for (const link of $$("a[data-format]", menu)) link.href = `/web/conversations/${subject}/export.${link.dataset.format}`;
  menu.showPopover();
  below(menu, button);
  $(".act", menu).focus();
}

function rename() {
  const entry = find(subject);
  const link = $("a", entry);
  const input = h("input", { "aria-label": "Title", maxlength: 200, class: "rename" });
  input.value = link.textContent;
  const id = subject;
  let closed = false; // taking the field away blurs it, which closes once more
  const close = async (keep) => {
    if (closed) return;
    closed = true;
    const title = input.value.trim();
    input.replaceWith(link);
    link.focus();
    if (keep && title && title !== link.textContent && (await told(call("PATCH", `/web/conversations/${id}`, { title })))) retitle({ id, title });
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") close(true);
    if (event.key === "Escape") event.stopPropagation(), close(false);
  });
  input.addEventListener("blur", () => close(true));
  link.replaceWith(input);
  input.select();
}

const going = new Set(); // conversations that are deleted as soon as nobody can take it back any more

/** Out of sight at once; gone for good with the sentence that offers to take it back, or when the page is left. */
function remove() {
  const [id, entry] = [subject, find(subject)];
  const open = location.pathname === `/c/${id}`;
  entry.hidden = true;
  going.add(id);
  const note = toast(`“${$("a", entry).textContent}” is deleted.`, { text: "Undo", act: () => takeBack(id, open), gone: () => removeForGood(id) });
  if (open) document.dispatchEvent(new CustomEvent("puna:deleted"));
  else $("button", note).focus();
}

function takeBack(id, open) {
  going.delete(id);
  find(id).hidden = false;
  if (open) location.assign(`/c/${id}`);
  else $("a", find(id)).focus();
}

async function removeForGood(id) {
  if (!going.delete(id)) return;
  if ((await told(call("DELETE", `/web/conversations/${id}`))) === undefined) find(id).hidden = false;
  else find(id).remove();
}

addEventListener("pagehide", () => {
  for (const id of going) inPassing("DELETE", `/web/conversations/${id}`);
  sessionStorage.setItem("gone", JSON.stringify([...going])); // the next page may be drawn before they are
  going.clear();
});
for (const id of JSON.parse(sessionStorage.getItem("gone") ?? "[]")) find(id)?.remove();

// --- what lies further back -----------------------------------------------------------------------------------------

const more = $(".more-talks");

function group(label) {
  const last = $$("section", list).at(-1);
  if (last && $("h2", last).textContent === label) return last;
  const section = h("section", {}, h("h2", {}, label), h("ul"));
  more.before(section);
  return section;
}

async function further() {
  const after = $$("[data-talk]", list).at(-1).dataset.talk;
  const found = await told(call("GET", `/web/conversations?after=${after}`));
  if (!found) return;
  const first = found.conversations.map((conversation) => {
    const entry = item(conversation);
    $("ul", group(conversation.day)).append(entry);
    return entry;
  })[0];
  more.hidden = !found.more;
  if (first) $("a", first).focus();
}

more?.addEventListener("click", further);

list.addEventListener("click", (event) => {
  const button = event.target.closest("[data-more]");
  if (button) openMenu(button);
});
menu.addEventListener("click", (event) => {
  const act = event.target.closest(".act");
  if (!act) return;
  menu.hidePopover();
  if (act.dataset.act === "rename") rename();
  if (act.dataset.act === "delete") remove();
});
walked(menu, ".act");

// --- search ---------------------------------------------------------------------------------------------------------

const finder = $("#finder");
let asked = 0;

function marked(text, words) {
  const at = words ? text.toLowerCase().indexOf(words.toLowerCase()) : -1;
  return at < 0 ? [text] : [text.slice(0, at), h("mark", {}, text.slice(at, at + words.length)), text.slice(at + words.length)];
}

async function look() {
  const words = $("input", finder).value.trim();
  const turn = ++asked;
  const found = await told(call("GET", `/web/conversations?q=${encodeURIComponent(words)}`));
  if (!found || turn !== asked) return;
  const entry = (hit) => h("li", {}, h("a", { href: `/c/${hit.id}${hit.message ? `#m-${hit.message}` : ""}` }, ...marked(hit.title, words), hit.excerpt ? h("small", {}, ...marked(hit.excerpt, words)) : null));
  $("ol", finder).replaceChildren(...found.conversations.map(entry));
  const count = $(".count", finder);
  count.textContent = found.conversations.length ? `${found.conversations.length} found` : "Nothing found.";
  count.classList.toggle("unseen", found.conversations.length > 0);
}

export function openSearch() {
  if (finder.open) return;
  finder.showModal();
  $("input", finder).select();
  look();
}

let pause;
$("input", finder).addEventListener("input", () => (clearTimeout(pause), (pause = setTimeout(look, 120))));
walked(finder, "input, ol a");
finder.addEventListener("keydown", (event) => {
  const first = $("ol a", finder);
  if (event.key === "Enter" && event.target.matches("input") && first) event.preventDefault(), first.click();
});
finder.addEventListener("click", (event) => event.target.closest("a") && finder.close()); // the place may be on this very page
$("[data-search]").addEventListener("click", openSearch);
