// A message as the server tells it in, its element out. Knows nothing of requests: what a button means is told by `deeds`.

import { copied } from "./clipboard.js";
import { $, h, icon, iconButton } from "./dom.js";
import { Growing } from "./growing.js";
import { write } from "./markdown.js";
import { Paced } from "./paced.js";
import { announce } from "./toast.js";

const LONG_LINES = 14; // of a question; a longer one is folded
const LONG_TEXT = 1_200; // characters

/** Today's time, or the day before it. */
function moment(at) {
  const [when, now] = [at ? new Date(at) : new Date(), new Date()];
  const time = when.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  const day = when.toLocaleDateString([], { day: "numeric", month: "short", ...(when.getFullYear() !== now.getFullYear() && { year: "numeric" }) });
  return h("time", { class: "pace", datetime: when.toISOString(), title: when.toLocaleString() }, when.toDateString() === now.toDateString() ? time : `${day}, ${time}`);
}

const pace = (message) => [message.tokens && `${message.tokens} tokens`, message.speed && `${Math.round(message.speed)} a second`].filter(Boolean).join(" · ");

/** A file that was sent can be fetched again. */
const named = (file, remove) =>
  file.id && !remove ? h("a", { class: "name", href: `/web/files/${file.id}/original`, download: true, "aria-label": `Download ${file.name}` }, file.name) : h("span", { class: "name" }, file.name);

export function enclosed(files, remove = null) {
  if (!files.length) return null;
  const item = (file) =>
    h("li", { class: file.error ? "bad" : null, title: file.error ?? file.name }, icon("file"), named(file, remove),
      file.state ? h("span", { class: "small" }, file.state) : null, remove ? iconButton("close", `Remove ${file.name}`, () => remove(file)) : null);
  return h("ul", { class: "enclosed", "aria-label": "attached files" }, ...files.map(item));
}

export function toolNote(tool) {
  const summary = h("summary", {}, icon("tool"), tool.label ?? tool.name, tool.done ? null : h("span", {}, "…"));
  const parts = [tool.arguments && `asked: ${tool.arguments}`, tool.result && `answer: ${tool.result}`].filter(Boolean).join("\n");
  return h("details", { class: "tool", "data-call": tool.id }, summary, h("pre", { tabindex: 0 }, parts));
}

function showPassage(source) {
  const dialog = $("#passage");
  $("h2", dialog).textContent = source.name;
  $(".where", dialog).textContent = [source.where, source.cited ? `source ${source.number}` : "read for this answer"].filter(Boolean).join(" · ");
  const at = source.quote ? source.text.indexOf(source.quote) : -1;
  const [before, quote, after] = at < 0 ? [source.text, "", ""] : [source.text.slice(0, at), source.quote, source.text.slice(at + source.quote.length)];
  $("blockquote", dialog).replaceChildren(before, quote ? h("mark", {}, quote) : "", after);
  dialog.showModal();
}

export const citer = (sources) => (number) => {
  const source = sources().find((one) => one.number === number);
  return source && h("button", { type: "button", class: "cite", title: source.name, "aria-label": `source ${number}: ${source.name}`, onclick: () => showPassage(source) }, String(number));
};

/** What the answer cites by number; where it cites nothing, what was read for it. */
function sourceList(sources) {
  if (!sources.length) return null;
  const label = (source) => (source.cited ? [h("b", {}, String(source.number)), h("span", {}, source.name)] : [icon("file"), h("span", {}, [source.name, source.where].filter(Boolean).join(", "))]);
  const item = (source) => h("li", {}, h("button", { type: "button", onclick: () => showPassage(source) }, ...label(source)));
  const read = sources[0].cited ? null : h("li", { class: "small" }, "Read:");
  return h("ul", { class: "sources", "aria-label": read ? "read for this answer" : "sources" }, read, ...sources.map(item));
}

function branches(message, deeds) {
  if (message.siblings.length < 2) return null;
  const place = message.siblings.indexOf(message.id);
  const step = (offset) => () => deeds.branch(message.siblings[place + offset]);
  return h("span", { class: "branch" },
    iconButton("back", "Previous version", step(-1), { disabled: place === 0 }), `${place + 1} of ${message.siblings.length}`,
    iconButton("next", "Next version", step(1), { disabled: place === message.siblings.length - 1 }));
}

async function copyText(event, text) {
  const button = event.currentTarget;
  await copied(text);
  button.replaceChildren(icon("done"));
  announce("Copied");
  setTimeout(() => button.replaceChildren(icon("copy")), 1600);
}

function row(message, deeds) {
  const answer = message.role === "assistant";
  return h("div", { class: "deeds" }, branches(message, deeds),
    iconButton("copy", answer ? "Copy the answer" : "Copy", (event) => copyText(event, message.text)),
    answer ? iconButton("again", "Answer again", () => deeds.again(message)) : iconButton("edit", "Edit", () => deeds.edit(message)),
    moment(message.at), answer && pace(message) ? h("span", { class: "pace" }, pace(message)) : null);
}

const ENDING = { stopped: "Stopped.", length: "Cut off at the longest length that was allowed.", repeated: "Ended, for it went on saying the same." };

/** Whether an answer may go on where it ended. */
export const isCut = (message) => message?.role === "assistant" && ["stopped", "length", "repeated", "broken"].includes(message.outcome) && message.text !== "";

const goOn = (message, deeds) => isCut(message) && h("button", { type: "button", class: "button small go-on", onclick: () => deeds.goOn(message) }, icon("go"), "Continue");
const why = (error) => [error.message, error.link ? " " : null, error.link ? h("a", { href: error.link }, error.link_text ?? "See") : null];

/** What went wrong, where to go from here, and buttons where trying again may help. */
export function failure(error, again = null, more = null) {
  return h("div", { class: "failed", role: "alert" }, h("span", {}, ...why(error).filter(Boolean)), more,
    again ? h("button", { type: "button", class: "button small", onclick: again }, icon("again"), "Try again") : null);
}

/** How an answer ended that is not whole. */
function ending(message, deeds) {
  if (message.outcome === "broken") return message.error && failure(message.error, () => deeds.again(message), goOn(message, deeds));
  const words = message.error ? why(message.error) : [ENDING[message.outcome]];
  return words[0] ? h("p", { class: "stopped" }, h("span", {}, ...words.filter(Boolean)), goOn(message, deeds)) : null;
}

/** A long question shows its beginning; a button shows the rest. */
function said(text) {
  const words = h("div", { class: "said" }, text);
  if (text.length <= LONG_TEXT && text.split("\n").length <= LONG_LINES) return [words];
  const button = h("button", { type: "button", class: "button small", "aria-expanded": "false" }, "Show all");
  const fold = (folded) => (words.classList.toggle("folded", folded), button.setAttribute("aria-expanded", String(!folded)), (button.textContent = folded ? "Show all" : "Show less"));
  button.addEventListener("click", () => fold(!words.classList.contains("folded")));
  fold(true);
  return [words, button];
}

function spoken(message, deeds) {
  return [h("h2", { class: "unseen" }, "You"), enclosed(message.files), ...said(message.text), row(message, deeds)];
}

function answered(message, deeds, prose) {
  return [h("h2", { class: "unseen" }, "Puna"), ...message.tools.map(toolNote), prose, ending(message, deeds), sourceList(message.sources), row(message, deeds)];
}

function written(message) {
  const prose = h("div", { class: "prose" });
  write(prose, message.text, citer(() => message.sources));
  return prose;
}

/** An element with nothing in it yet: `fill` draws the message into it, once. */
export function messageShell(message, deeds) {
  const element = h("article", { class: `message ${message.role}`, id: `m-${message.id}` });
  const parts = () => (message.role === "assistant" ? answered(message, deeds, written(message)) : spoken(message, deeds));
  return { element, fill: () => element.firstChild || element.append(...parts().filter(Boolean)) };
}

export function messageElement(message, deeds) {
  const { element, fill } = messageShell(message, deeds);
  fill();
  return element;
}

/** Put nodes around one of them that stands there already: moved, it would be laid out anew. */
function around(still, wanted) {
  for (const old of [...still.parentElement.children]) if (old !== still) old.remove();
  const place = wanted.indexOf(still);
  still.before(...wanted.slice(0, place));
  still.after(...wanted.slice(place + 1));
}

/** An answer that is being given: the element, and what to do with each piece; one that was cut goes on. */
export function liveAnswer(cut = null) {
  const [prose, notes, wait] = [h("div", { class: "prose" }), h("div"), h("span", { class: "waiting", role: "status", "aria-label": "thinking" })];
  const element = h("article", { class: "message assistant live" }, h("h2", { class: "unseen" }, "Puna"), notes, wait, prose, h("div", { class: "deeds" }));
  const sources = [];
  let heard = true;
  const growing = new Growing(prose, { cite: citer(() => sources), told: (block) => heard && announce(block.replace(/[*_`#>|]/g, "")) });
  const before = (message) => {
    if (growing.text) return;
    sources.push(...message.sources);
    notes.replaceChildren(...message.tools.map(toolNote));
    heard = false; // it was read out before
    growing.push(message.text);
    heard = true;
    prose.after(wait);
  };
  if (cut) before(cut);
  const paced = new Paced((piece) => (wait.remove(), growing.push(piece)));
  return {
    element,
    sources,
    before,
    loading: (words = "") => wait.replaceChildren(...(words ? [words] : [])),
    text: (piece) => paced.push(piece),
    tool: (tool) => {
      const old = notes.querySelector(`[data-call="${CSS.escape(tool.id)}"]`);
      old ? old.replaceWith(toolNote(tool)) : notes.append(toolNote(tool));
    },
    finish: (message = null, deeds = null) => {
      paced.flush();
      wait.remove();
      growing.finish();
      element.classList.remove("live");
      if (!message) return;
      element.id = `m-${message.id}`;
      if (message.text !== growing.text) write(prose, message.text, citer(() => message.sources));
      around(prose, answered(message, deeds, prose).filter(Boolean));
    },
  };
}
