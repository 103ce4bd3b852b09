// The conversation on the page: what was said, what is being answered, and the deeds of its buttons.

import { $, given, h } from "./dom.js";
import { call, events, Refused, told } from "./http.js";
import { announce, toast } from "./toast.js";
import { failure, liveAnswer, messageElement, messageShell } from "./transcript.js";
import { inSlices } from "./slices.js";
import { remember, retitle, showLeft } from "./side.js";

const talk = { id: null, path: [], running: null, model: null, preset: null, ...given("talk") };
const box = $(".messages");
const scroller = $(".scroll");
const listeners = [];
const AT_ONCE = 8; // more messages than a screen has room for
let drawn = Promise.resolve(); // once every message on the page is

export const onRunning = (listener) => listeners.push(listener);
export const current = () => talk;
const running = (turn) => {
  talk.running = turn;
  document.body.classList.toggle("answering", turn !== null);
  for (const listener of listeners) listener(turn !== null);
};

// --- what is seen ---------------------------------------------------------------------------------------------------

const nearEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 90;
let following = true;
export const toEnd = () => {
  following = true;
  scroller.scrollTop = scroller.scrollHeight;
};
const follow = () => following && (scroller.scrollTop = scroller.scrollHeight);

function watchScroll() {
  const down = $(".down");
  let [top, height] = [0, 0];
  scroller.addEventListener("scroll", () => {
    if (nearEnd()) following = true;
    else if (scroller.scrollTop < top - 2 && scroller.scrollHeight === height) following = false; // by hand, not because something shrank
    [top, height] = [scroller.scrollTop, scroller.scrollHeight];
    down.hidden = nearEnd() || !talk.path.length;
  }, { passive: true });
  down.addEventListener("click", toEnd);
  new ResizeObserver(follow).observe(box);
}

/** The latest messages are drawn at once, those above them as soon as nothing else is to do. */
function show(path, from = 0) {
  talk.path = path;
  $(".main").classList.toggle("empty", path.length === 0);
  while (box.childElementCount > from) box.lastElementChild.remove();
  const shells = path.slice(from).map((message) => messageShell(message, deeds));
  box.append(...shells.map((shell) => shell.element));
  for (const shell of shells.slice(-AT_ONCE)) shell.fill();
  drawn = inSlices(shells.slice(0, -AT_ONCE).reverse().map((shell) => () => shell.element.isConnected && shell.fill()));
}

const placeOf = (id) => talk.path.findIndex((message) => message.id === id);

/** Show a path that shares its beginning with the one on screen. */
function replacePath(path) {
  const from = path.findIndex((message, index) => talk.path[index]?.id !== message.id || String(talk.path[index]?.siblings) !== String(message.siblings));
  show(path, from < 0 ? path.length : from);
}

/** The message above an answer learns its number and its siblings from the server. */
function redrawBefore(place) {
  const [said, element] = [talk.path[place - 1], box.children[place - 1]];
  if (said && element && element.id !== `m-${said.id}`) element.replaceWith(messageElement(said, deeds));
}

// --- an answer ------------------------------------------------------------------------------------------------------

const HANDLE = {
  begin(event, live) {
    live.kept = true;
    if (!talk.id) {
      talk.id = event.conversation.id;
      history.replaceState(null, "", `/c/${talk.id}`);
    }
    remember(event.conversation);
    retitle(event.conversation);
    talk.running.id = event.turn;
    if (event.path) show(event.path), box.append(live.element), follow();
  },
  text: (event, live) => live.text(event.text),
  tool: (event, live) => live.tool(event.tool),
  source: (event, live) => live.sources.push(event.source),
  left_out: () => toast("This conversation is longer than the model can read at once; it no longer sees the beginning."),
  left: (event) => showLeft(event.left),
  title: (event) => retitle(event.conversation),
  end(event, live) {
    live.done = true;
    if (!event.path.length) return void location.assign("/");
    talk.path = event.path;
    live.finish(event.path.at(-1), deeds);
    redrawBefore(event.path.length - 1);
    announce("The answer is complete.");
  },
  error(event, live) {
    live.done = true;
    live.finish();
    live.element.append(failure(event.error));
    announce(event.error.message);
  },
};

async function hear(stream, live) {
  try {
    for await (const event of stream) HANDLE[event.type]?.(event, live);
    if (!live.done) throw new Refused(0, { message: "The answer broke off: the connection was lost. Load the page again to see how far it came." });
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 404) return void location.reload(); // it was over before we listened
    HANDLE.error({ error: error instanceof Refused ? { message: error.message, link: error.link, link_text: error.linkText } : { message: `Something went wrong here: ${error.message}` } }, live);
    if (!(error instanceof Refused)) throw error;
  } finally {
    running(null);
  }
}

/** Ask the server for an answer; resolves to whether the question was kept. */
async function begin(body, upTo, said = null) {
  if (talk.running) return false;
  const [live, before] = [liveAnswer(), talk.path];
  show(talk.path.slice(0, upTo), upTo);
  if (said) box.append(messageElement({ id: "new", role: "user", siblings: [], files: [], ...said }, deeds));
  box.append(live.element);
  $(".main").classList.remove("empty");
  toEnd();
  running({ id: null });
  announce("Puna is answering.");
  const settings = { conversation: talk.id, model: talk.model, preset: talk.preset };
  await hear(events("POST", "/web/turns", { ...settings, ...body }), live);
  if (!live.kept) show(before), box.append(live.element), $(".main").classList.remove("empty"), toEnd();
  return Boolean(live.kept);
}

/** Say something at the end of what is on screen. */
export const say = (text, files) =>
  begin({ kind: "say", parent: talk.path.at(-1)?.id ?? null, text, files: files.map((file) => file.id) }, talk.path.length, { text, files });

export const stop = () => talk.running?.id && call("DELETE", `/web/turns/${talk.running.id}`).catch(() => toast("It could not be stopped: Puna does not answer."));

async function resume() {
  const live = liveAnswer();
  box.append(live.element);
  const turn = talk.running;
  running(turn);
  toEnd();
  await hear(events("GET", `/web/turns/${turn.id}`), live);
}

// --- deeds of the buttons -------------------------------------------------------------------------------------------

function editor(message, element) {
  const area = h("textarea", { "aria-label": "Edit your message", rows: 3 });
  area.value = message.text;
  const close = () => element.replaceWith(messageElement(message, deeds));
  const send = () => {
    const text = area.value.trim();
    if (!text || talk.running) return;
    const place = placeOf(message.id);
    begin({ kind: "say", parent: talk.path[place - 1]?.id ?? null, text, files: message.files.map((file) => file.id) }, place, { text, files: message.files });
  };
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) event.preventDefault(), send();
    if (event.key === "Escape") event.stopPropagation(), close();
  });
  const buttons = h("div", { class: "row" }, h("span", { class: "gap" }), h("button", { type: "button", class: "button", onclick: close }, "Cancel"), h("button", { type: "button", class: "button main", onclick: send }, "Send"));
  return [area, h("div", { class: "composer editing" }, area, buttons)];
}

export const deeds = {
  again: (message) => begin({ kind: "again", parent: talk.path[placeOf(message.id) - 1]?.id }, placeOf(message.id)),
  edit(message) {
    if (talk.running) return;
    const element = document.getElementById(`m-${message.id}`);
    const [area, box] = editor(message, element);
    following = false; // the place where one writes stays in sight
    element.replaceChildren(box);
    area.focus();
  },
  async branch(id) {
    if (talk.running) return;
    const answer = await told(call("POST", `/web/conversations/${talk.id}/branch`, { message: id }));
    if (!answer) return;
    const top = scroller.scrollTop;
    following = false;
    replacePath(answer.path);
    scroller.scrollTop = top;
    document.getElementById(`m-${id}`)?.querySelector(".branch button:not(:disabled)")?.focus({ preventScroll: true });
  },
};

export const editLast = () => {
  const last = talk.path.findLast((message) => message.role === "user");
  if (last) deeds.edit(last);
};

/** Keep a choice of model or preset with the conversation. */
export async function choose(field, value) {
  talk[field] = value;
  if (talk.id) await told(call("PATCH", `/web/conversations/${talk.id}`, { [field]: value }));
}

/** A message that the address names, as search does, on whichever branch it stands. */
async function seek(id) {
  if (placeOf(id) < 0) await deeds.branch(id);
  await drawn;
  const element = document.getElementById(`m-${id}`);
  following = false;
  element?.scrollIntoView({ block: "center" });
  element?.classList.add("sought");
}

function sought() {
  const id = /^#m-(msg_\w+)$/.exec(location.hash)?.[1];
  if (id && !talk.running) seek(id);
}

watchScroll();
show(talk.path);
toEnd();
addEventListener("hashchange", sought);
if (talk.running) resume();
else sought();
