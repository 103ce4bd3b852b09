// Blocks that may become long: which of their parts another part follows, so that only the end is read again.

import { settledCode } from "./code.js";

/** The last two items stay open, for only together they tell whether lines stand between them; where some do, the whole list looks another way. */
function list(token) {
  const source = token.items.slice(0, -2).map((item) => item.raw).join("");
  return token.raw.startsWith(source) ? { head: "", length: source.length, exact: false } : null;
}

function table(token) {
  const lines = token.raw.split(/(?<=\n)/);
  const [head, done] = [lines.slice(0, 2).join(""), lines.slice(0, -1).join("")];
  return { head, length: done.length, exact: true };
}

function code(token) {
  const head = /^ {0,3}(?:`{3,}|~{3,})[^\n]*\n/.exec(token.raw)?.[0];
  if (!head) return null;
  const body = token.raw.slice(head.length);
  const { length, exact } = settledCode(body, token.lang);
  return { head, length: head.length + length, exact };
}

const LONG = {
  list: { part: list, inside: (block) => block },
  table: { part: table, inside: (block) => block.querySelector("tbody") },
  code: { part: code, inside: (block) => block.querySelector("code") },
};

/** What of a block is done: `length` characters, to be read after `head` next time; not `exact` where the end may yet change how it looks. */
export function donePart(token) {
  const done = LONG[token?.type]?.part(token);
  return done && token.raw.length > done.length && done.length > done.head.length ? done : null;
}

/** The element of a long block that its parts are children of. */
export const insideOf = (type, block) => LONG[type].inside(block);
