// Markdown in, DOM nodes out, built one by one: no HTML string is ever made, so none can be smuggled in.

import { Marked } from "../vendor/marked/marked.js";
import { code, codeInline } from "./code.js";
import { h } from "./dom.js";
import { formula, mathSyntax } from "./math.js";

const marked = new Marked({ gfm: true, breaks: false });
marked.use({ extensions: mathSyntax });

/** Markdown in, its blocks out. */
export const lex = (source) => marked.lexer(source);

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", hellip: "…", ndash: "–", mdash: "—", copy: "©", times: "×" };

function plain(text) {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]+));/gi, (whole, decimal, hex, name) => {
    if (name) return ENTITIES[name] ?? whole;
    const point = decimal ? Number(decimal) : parseInt(hex, 16);
    return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}

/** Web and mail addresses only; anything else stays text. */
function safeAddress(href) {
  try {
    const url = new URL(href);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function link(href, title, children) {
  const address = safeAddress(plain(href));
  if (!address) return h("span", {}, ...children);
  return h("a", { href: address, title: title && plain(title), target: "_blank", rel: "noopener noreferrer nofollow" }, ...children);
}

/** A picture on another machine would tell that machine who reads: it is shown as a link. */
const picture = (token) => link(token.href, token.title, [`[picture: ${plain(token.text) || token.href}]`]);

function list(token, context) {
  const items = token.items.map((item) => h("li", {}, item.task ? checkbox(item.checked) : null, ...nodes(item.tokens.filter((t) => t.type !== "checkbox"), context)));
  return h(token.ordered ? "ol" : "ul", { start: token.ordered && token.start !== 1 ? token.start : null }, ...items);
}

const checkbox = (checked) => h("input", { type: "checkbox", disabled: true, checked, "aria-label": checked ? "done" : "not done" });

function table(token, context) {
  const cell = (tag) => (entry) => h(tag, { class: ["right", "center"].includes(entry.align) ? entry.align : null }, ...nodes(entry.tokens, context));
  const head = h("thead", {}, h("tr", {}, ...token.header.map(cell("th"))));
  const body = h("tbody", {}, ...token.rows.map((row) => h("tr", {}, ...row.map(cell("td")))));
  return h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "table" }, h("table", {}, head, body));
}

/** Raw HTML is shown as the text that it is; only a line break is meant. */
const raw = (token) => (/^<br\s*\/?>\s*$/i.test(token.raw) ? h("br") : token.block ? h("p", {}, token.raw.trimEnd()) : token.raw);

/** A block that was closed with nothing in it shows the word behind its fence: that was meant. */
const fenced = (token) => (token.text === "" && /\n {0,3}(?:`{3,}|~{3,})\s*$/.test(token.raw) ? code(token.lang ?? "") : code(token.text, token.lang));

const MAKE = {
  space: () => null,
  def: () => null,
  code: fenced,
  heading: (t, c) => h(`h${t.depth}`, {}, ...nodes(t.tokens, c)),
  hr: () => h("hr"),
  blockquote: (t, c) => h("blockquote", {}, ...nodes(t.tokens, c)),
  list,
  table,
  html: raw,
  paragraph: (t, c) => h("p", {}, ...nodes(t.tokens, c)),
  text: (t, c) => (t.tokens ? nodes(t.tokens, c) : context(plain(t.text), c)),
  escape: (t) => t.text,
  link: (t, c) => link(t.href, t.title, nodes(t.tokens, c)),
  image: picture,
  strong: (t, c) => h("strong", {}, ...nodes(t.tokens, c)),
  em: (t, c) => h("em", {}, ...nodes(t.tokens, c)),
  del: (t, c) => h("del", {}, ...nodes(t.tokens, c)),
  codespan: (t) => codeInline(t.text),
  br: () => h("br"),
  math: (t) => formula(t.text, t.display),
};

/** `[2]` becomes a button where the answer has a second source. */
function context(text, cite) {
  if (!cite) return text;
  return text.split(/(\[\d{1,2}\])/).map((piece) => (/^\[\d/.test(piece) ? (cite(Number(piece.slice(1, -1))) ?? piece) : piece));
}

/** Blocks in, DOM nodes and texts out; `context` makes the button of a source. */
export const nodes = (tokens, context) => tokens.flatMap((token) => MAKE[token.type]?.(token, context) ?? (token.raw && !MAKE[token.type] ? token.raw : [])).filter((node) => node !== "");

/** Write the whole text into `root`. */
export function write(root, text, cite = null) {
  root.replaceChildren(...nodes(lex(text.replaceAll("\r\n", "\n")), cite));
}
