// Formulas: $…$, $$…$$, \(…\), \[…\]. KaTeX and its fonts are fetched from our own server when the first one appears.

import { asset, h } from "./dom.js";
import { inSlices } from "./slices.js";

let katex = null;
let loading = null;
const known = new Map();
const MOST_KNOWN = 200;

function load() {
  document.head.append(h("link", { rel: "stylesheet", href: asset("vendor/katex/katex.min.css") }));
  return import(asset("vendor/katex/katex.min.js")).then(() => {
    katex = globalThis.katex;
    return inSlices([...document.querySelectorAll(".math:not(.set)")].map((node) => () => node.matches(".set") || typeset(node)));
  });
}

function typeset(node) {
  const [display, source] = [node.classList.contains("display"), node.textContent];
  node.replaceChildren();
  katex.render(source, node, { displayMode: display, throwOnError: false, trust: false, maxSize: 20, maxExpand: 300, strict: "ignore" });
  node.classList.add("set");
}

function made(source, display) {
  const node = h("span", { class: display ? "math display" : "math" }, source);
  if (katex) typeset(node);
  else loading ??= load();
  return node;
}

/** The element of a formula; one that was set already is copied, for the end of a growing text is made again and again. */
export function formula(source, display) {
  const name = `${display} ${source}`;
  if (known.size >= MOST_KNOWN) known.clear();
  if (katex && !known.has(name)) known.set(name, made(source, display));
  const node = known.get(name)?.cloneNode(true) ?? made(source, display);
  node.source = source;
  return node;
}

const rule = (name, level, opener, pattern, display) => ({
  name: "math",
  level,
  start: (source) => {
    const at = source.search(opener);
    return at < 0 ? undefined : at;
  },
  tokenizer(source) {
    const found = pattern.exec(source);
    return found ? { type: "math", raw: found[0], text: found[1].trim(), display } : undefined;
  },
});

export const mathSyntax = [
  rule("math", "block", /\$\$|\\\[/, /^(?:\$\$)([^$]+?)\$\$[ \t]*(?:\n|$)/, true),
  rule("math", "block", /\\\[/, /^\\\[([\s\S]+?)\\\][ \t]*(?:\n|$)/, true),
  rule("math", "inline", /\$\$/, /^\$\$([^$]+?)\$\$/, true),
  rule("math", "inline", /\\\[/, /^\\\[([\s\S]+?)\\\]/, true),
  rule("math", "inline", /\\\(/, /^\\\(([^\n]+?)\\\)/, false),
  rule("math", "inline", /\$/, /^\$(?!\s)((?:\\.|[^$\\\n])+?)(?<!\s)\$(?!\d)/, false),
];
