// A fenced block with its language, a copy button and colours; the highlighter is fetched when the first block wants it.

import { copied } from "./clipboard.js";
import { asset, h, icon } from "./dom.js";
import { inSlices } from "./slices.js";

const ALIAS = { js: "javascript", ts: "typescript", py: "python", sh: "bash", shell: "bash", zsh: "bash", console: "bash", "c++": "cpp", cc: "cpp", h: "c", hpp: "cpp",
  "c#": "csharp", cs: "csharp", yml: "yaml", html: "xml", svg: "xml", md: "markdown", rb: "ruby", rs: "rust", golang: "go", kt: "kotlin", ps1: "powershell",
  make: "makefile", docker: "dockerfile", tex: "latex", toml: "ini", patch: "diff", hs: "haskell", jsx: "javascript", tsx: "typescript" };
const KNOWN = new Set("bash c cpp csharp css diff dockerfile go haskell ini java javascript json julia kotlin latex lua makefile markdown perl php powershell python r ruby rust scala sql swift typescript xml yaml".split(" "));

let highlighter = null;
const ready = new Map(); // language -> "loading" | true
const MOST = 30_000; // longer blocks stay plain
const MOST_OPEN = 4_000; // characters that are coloured again and again while a text in quotes, or the like, has no end

async function load(language) {
  ready.set(language, "loading");
  const [core, grammar] = await Promise.all([import(asset("vendor/highlight/core.js")), import(asset(`vendor/highlight/languages/${language}.js`))]);
  highlighter = core.default;
  highlighter.registerLanguage(language, grammar.default);
  ready.set(language, true);
  const bare = [...document.querySelectorAll(`code[data-language="${language}"]`)];
  await inSlices(bare.map((block) => () => block.firstElementChild || block.replaceChildren(...coloured(block.textContent, language))));
}

const branch = (node) => (typeof node === "string" ? node : h("span", { class: node.scope ? scopes(node.scope) : null }, ...node.children.map(branch)));
const scopes = (scope) => scope.split(".").map((part, depth) => (depth ? `${part}${"_".repeat(depth)}` : `hl-${part}`)).join(" ");

const read = (text, language) => highlighter.highlight(text, { language, ignoreIllegals: true });

function coloured(text, language) {
  if (ready.get(language) !== true || text.length > MOST) {
    if (!ready.has(language)) load(language);
    return [text];
  }
  return read(text, language)._emitter.rootNode.children.map(branch);
}

function languageOf(word) {
  const name = ALIAS[word] ?? word;
  return KNOWN.has(name) ? name : null;
}

const firstWord = (info) => (info ?? "").trim().split(/\s/)[0].toLowerCase();

const withoutLastLine = (text) => text.slice(0, Math.max(text.lastIndexOf("\n"), 0)).replace(/\n+$/, "");

/** Of code that still grows: how many characters have their colours whatever follows, and whether those are the right ones. */
export function settledCode(text, info) {
  const length = withoutLastLine(withoutLastLine(text)).length; // the last may be the closing fence, and something must stand before it
  const language = languageOf(firstWord(info));
  if (!language) return { length, exact: true };
  if (ready.get(language) !== true) return { length: 0, exact: true };
  const exact = !read(text.slice(0, length + 1), language)._top.parent; // no quote, comment or the like is open
  return { length: exact || length > MOST_OPEN ? length : 0, exact };
}

async function copy(event) {
  const button = event.currentTarget;
  await copied(button.closest("figure").querySelector("code").textContent);
  button.replaceChildren(icon("done"), "Copied");
  setTimeout(() => button.replaceChildren(icon("copy"), "Copy"), 1600);
}

export function code(text, info = "") {
  const word = firstWord(info);
  const language = languageOf(word);
  const inner = h("code", { "data-language": language }, ...(language ? coloured(text, language) : [text]));
  const button = h("button", { type: "button", class: "quiet", onclick: copy }, icon("copy"), "Copy");
  return h("figure", { class: "code" }, h("figcaption", {}, h("span", {}, word || "text"), button), h("pre", { tabindex: 0, role: "group", "aria-label": `code, ${word || "text"}` }, inner));
}

export const codeInline = (text) => h("code", {}, text);
