// What the person writes and attaches, until it is sent.

import { readAhead } from "./ahead.js";
import { $, h } from "./dom.js";
import { Refused, upload } from "./http.js";
import { current, editLast, goOnLast, onRunning, say, stop } from "./talk.js";
import { announce, toast } from "./toast.js";
import { enclosed } from "./transcript.js";

const form = $("#composer");
const area = $("textarea", form);
const button = $(".round", form);
const picker = $('input[type="file"]', form);
const chips = $(".chips", form);
const commands = $(".commands", form);
const touch = matchMedia("(pointer: coarse)");
let files = [];
let answering = Boolean(current().running); // one may be given already when the page opens
let waiting = false; // Enter was pressed while a file was still being read

const LONG_PASTE = 5_000; // characters, from which on a text is a file
const draftKey = () => `draft ${current().id ?? "new"}`;

/** What is written and attached here survives a reload. */
function keepDraft() {
  const whole = files.filter((file) => file.id);
  if (area.value || whole.length) sessionStorage.setItem(draftKey(), JSON.stringify({ text: area.value, files: whole }));
  else sessionStorage.removeItem(draftKey());
}

function draft() {
  try {
    return { text: "", files: [], ...JSON.parse(sessionStorage.getItem(draftKey())) };
  } catch {
    return { text: "", files: [] };
  }
}

function refresh() {
  const uploading = files.some((file) => file.state);
  button.disabled = !answering && (uploading || !area.value.trim());
  commands.hidden = !/^\/\w*$/.test(area.value);
  $("use", button).setAttribute("href", $("use", button).getAttribute("href").replace(/#.*/, answering ? "#stop" : "#send"));
  button.setAttribute("aria-label", answering ? "Stop the answer" : "Send");
  button.title = answering ? "Stop (Escape)" : "Send (Enter)";
}

function showFiles() {
  chips.replaceChildren(enclosed(files, remove) ?? "");
  keepDraft();
  refresh();
}

function remove(file) {
  files = files.filter((one) => one !== file);
  showFiles();
  area.focus();
}

const mebibytes = (bytes) => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** How much of a file is on the server; once it is whole, it is read there. */
function progress(chip, share) {
  chip.state = share < 1 ? `${Math.floor(100 * share)} %` : "reading…";
  showFiles();
}

export async function attach(list) {
  for (const file of [...list]) { // the field forgets its own list as soon as it is emptied
    const chip = { name: file.name || "pasted.txt", state: "reading…" };
    files.push(chip);
    showFiles();
    try {
      if (file.type.startsWith("image/")) throw new Refused(415, { message: "models here read text, not pictures; copy the words out of it" });
      if (file.size > Number(picker.dataset.most)) throw new Refused(413, { message: `it has ${mebibytes(file.size)}, and a file may have ${mebibytes(picker.dataset.most)} here` });
      Object.assign(chip, await upload("/web/files", file, (share) => progress(chip, share)), { state: null });
      announce(`${chip.name} is attached.`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      toast(`${chip.name}: ${error.message}`, error.link && { href: error.link, text: error.linkText });
      files = files.filter((one) => one !== chip);
      waiting = false; // without the file, the question may be another
    }
    showFiles();
  }
  if (waiting) send();
}

function send() {
  const text = area.value.trim();
  waiting = files.some((file) => file.state) && Boolean(text);
  if (answering || waiting || !text) return;
  const sent = files;
  area.value = "";
  files = [];
  showFiles();
  say(text, sent).then((kept) => kept || giveBack(text, sent));
}

/** What was never kept stands in the field again. */
function giveBack(text, sent) {
  if (area.value) return;
  area.value = text;
  files = sent;
  showFiles();
}

/** A long text is attached as a file, of which the model reads what matters; or it is put into the message after all. */
async function pasteLong(text) {
  const file = new File([text], "pasted text.txt", { type: "text/plain" });
  await attach([file]);
  const chip = files.at(-1);
  if (chip?.name === file.name) toast("The long text is attached as a file.", { text: "Put it into the message", act: () => (remove(chip), insert(text)) });
}

function insert(text) {
  area.focus();
  area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
  written();
}

function written() {
  keepDraft();
  refresh();
}

area.addEventListener("input", () => (written(), area.value.trim() && readAhead()));
area.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Enter" && event.ctrlKey && !area.value && !answering) return void goOnLast();
  if (event.key === "Enter" && !event.shiftKey && !touch.matches) event.preventDefault(), send();
  if (event.key === "ArrowUp" && !area.value && !answering) event.preventDefault(), editLast();
});
area.addEventListener("paste", (event) => {
  const text = event.clipboardData.getData("text/plain"); // office programs add a picture of the text
  if (text.length > LONG_PASTE) event.preventDefault(), pasteLong(text);
  else if (!text && event.clipboardData.files.length) event.preventDefault(), attach(event.clipboardData.files);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  answering ? stop() : send();
  if (!touch.matches) area.focus();
});
$(".attach", form).addEventListener("click", () => picker.click());
picker.addEventListener("change", () => (attach(picker.files), (picker.value = "")));

const main = $(".main");
for (const kind of ["dragenter", "dragover"]) main.addEventListener(kind, (event) => event.dataTransfer.types.includes("Files") && (event.preventDefault(), form.classList.add("drop")));
main.addEventListener("dragleave", (event) => main.contains(event.relatedTarget) || form.classList.remove("drop"));
main.addEventListener("drop", () => form.classList.remove("drop"));
main.addEventListener("drop", (event) => event.dataTransfer.files.length && (event.preventDefault(), attach(event.dataTransfer.files)));

for (const start of document.querySelectorAll(".starts button")) start.addEventListener("click", () => ((area.value = start.dataset.text), written(), area.focus()));

onRunning((running) => {
  answering = running;
  refresh();
});
document.addEventListener("puna:named", () => (sessionStorage.removeItem("draft new"), keepDraft())); // what was written meanwhile belongs here
export const focus = () => area.focus();

({ files } = draft());
area.value ||= draft().text; // somebody may have begun to type already
showFiles();
if (!touch.matches) area.focus();
