// The conversation on the page: what was said, what is being answered, and the deeds of its buttons.

import { $, given, h } from "./dom.js";
import { call, events, Refused, told } from "./http.js";
import { announce, toast } from "./toast.js";
import { failure, isCut, liveAnswer, messageElement, messageShell } from "./transcript.js";
import { inSlices } from "./slices.js";
import { remember, retitle, showLeft } from "./side.js";

const talk = { id: null, path: [], running: null, model: null, preset: null, ...given("talk") };
const box = $(".messages");
const scroller = $(".scroll");
const listeners = [];
const LOOK_AGAIN_MS = 1_500;
let leftOut = false; // whether it was said
let leaving = false;
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
    live.loading();
    if (event.answer) live.before(event.answer);
    if (!talk.id) {
      talk.id = event.conversation.id;
      history.replaceState(null, "", `/c/${talk.id}`);
      document.dispatchEvent(new CustomEvent("puna:named"));
    }
    remember(event.conversation);
    retitle(event.conversation);
    talk.running.id = event.turn;
    if (event.path) show(event.path), box.append(live.element), follow();
  },
  text: (event, live) => live.text(event.text),
  tool: (event, live) => live.tool(event.tool),
  source: (event, live) => live.sources.push(event.source),
  loading: (event, live) => live.loading(`Loading ${event.model}${event.share ? `, ${Math.round(100 * event.share)} %` : ""}…`),
  left_out: () => (leftOut ||= (toast("This conversation is longer than the model can read at once; it no longer sees the beginning."), true)),
  left: (event) => showLeft(event.left),
  title: (event) => retitle(event.conversation),
  end(event, live) {
    live.done = true;
    if (!event.path.length) return void location.assign("/");
    talk.path = event.path;
    live.finish(event.path.at(-1), deeds);
    redrawBefore(event.path.length - 1);
    announce("The answer is complete.");
    if (document.hidden) document.title = `✓ ${document.title}`; // until the page is seen
  },
  unsaid: (_, live) => ((live.done = true), live.element.remove()),
  error(event, live) {
    live.done = true;
    live.finish();
    live.element.append(failure(event.error));
    announce(event.error.message);
  },
};

async function hear(stream, live) {
  const turn = talk.running;
  let close;
  Object.assign(turn, { isOver: () => live.done, closed: new Promise((done) => (close = done)) });
  const left = () => talk.running !== turn; // for another conversation
  try {
    for await (const event of stream) left() || HANDLE[event.type]?.(event, live);
    if (!live.done && !left()) lost(live);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 404) return void location.reload(); // it was over before we listened
    HANDLE.error({ error: error instanceof Refused ? { message: error.message, link: error.link, link_text: error.linkText } : { message: `Something went wrong here: ${error.message}` } }, live);
    if (!(error instanceof Refused)) throw error;
  } finally {
    if (!left()) running(null);
    close();
  }
}

const reachable = () => fetch("/login", { method: "HEAD", redirect: "manual", cache: "no-store" }).then(() => true, () => false);

/** The server is gone or the line is cut: look for it again, and show how far the answer came. */
async function lost(live) {
  if (leaving) return;
  live.finish();
  live.element.append(failure({ message: "The connection was lost. Looking for Puna again…" }));
  while (!(await reachable())) await new Promise((done) => setTimeout(done, LOOK_AGAIN_MS));
  if (!leaving) location.reload();
}

/** Ask the server for an answer; resolves to whether the question was kept. */
async function begin(body, upTo, said = null, cut = null) {
  if (talk.running?.isOver?.()) await talk.running.closed; // all is said, but the server has not let go
  if (talk.running) return false;
  const turn = { id: null };
  const answer = events("POST", "/web/turns", { conversation: talk.id, model: talk.model, preset: talk.preset, ...body }, named(turn)); // on its way while the page is drawn
  const [live, before] = [liveAnswer(cut), talk.path];
  show(talk.path.slice(0, upTo), upTo);
  if (said) box.append(messageElement({ id: "new", role: "user", siblings: [], files: [], ...said }, deeds));
  box.append(live.element);
  $(".main").classList.remove("empty");
  toEnd();
  running(turn);
  announce("Puna is answering.");
  await hear(answer, live);
  if (!live.kept) takeBack(before, live, cut);
  return Boolean(live.kept);
}

/** Nothing was kept: the page is as it was, with what went wrong below. */
function takeBack(before, live, cut) {
  show(before);
  const wrong = $(".failed", live.element);
  if (wrong) box.append(cut ? wrong : live.element), $(".main").classList.remove("empty");
  toEnd();
}

/** A turn has its name with the answer's first byte; whoever has pressed Stop before stops it then. */
const named = (turn) => (response) => {
  turn.id = response.headers.get("X-Puna-Turn");
  if (turn.stopped) stop();
};

/** Say something at the end of what is on screen. */
export const say = (text, files) =>
  begin({ kind: "say", parent: talk.path.at(-1)?.id ?? null, text, files: files.map((file) => file.id) }, talk.path.length, { text, files });

export function stop() {
  const turn = talk.running;
  if (!turn) return;
  if (!turn.id) return void (turn.stopped = true);
  call("DELETE", `/web/turns/${turn.id}`).catch(() => toast("It could not be stopped: Puna does not answer."));
}

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
  goOn(message) {
    const place = placeOf(message.id);
    begin({ kind: "continue", answer: message.id }, place, null, message);
  },
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

/** Leave this conversation, which is gone: the page is a new chat's. */
export function leave() {
  stop();
  running(null);
  talk.id = null;
  history.replaceState(null, "", "/");
  document.title = "New chat · Puna";
  $(".head .title").textContent = "New chat";
  show([]);
}

export const editLast = () => {
  const last = talk.path.findLast((message) => message.role === "user");
  if (last) deeds.edit(last);
};

/** Let the last answer go on, if it was cut. */
export function goOnLast() {
  const last = talk.path.at(-1);
  if (isCut(last)) deeds.goOn(last);
}

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

document.addEventListener("visibilitychange", () => document.hidden || (document.title = document.title.replace(/^✓ /, "")));
addEventListener("pagehide", () => (leaving = true));
addEventListener("pageshow", () => (leaving = false));
watchScroll();
show(talk.path);
toEnd();
addEventListener("hashchange", sought);
if (talk.running) resume();
else sought();
