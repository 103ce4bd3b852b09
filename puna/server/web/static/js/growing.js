// A text that grows at its end. What is done is neither read nor drawn again: the next word of a long answer
// costs what it costs in a short one. Half a mark at the very end is mended until the rest arrives.

import { lex, nodes } from "./markdown.js";
import { mend } from "./mend.js";
import { morph } from "./morph.js";
import { donePart, insideOf } from "./parts.js";

const PART = 400; // characters that are worth settling before their block is done

export class Growing {
  #root;
  #cite;
  #told;
  #read;
  #done = ""; // its nodes are final
  #rest = ""; // read again with each piece
  #kept = 0; // final blocks
  #open = null; // the block at the end, where it is long and its beginning is final

  /** `cite` makes a source's button, `told` hears what is done, `read` makes tokens of Markdown. */
  constructor(root, { cite = null, told = () => {}, read = lex } = {}) {
    [this.#root, this.#cite, this.#told, this.#read] = [root, cite, told, read];
  }

  get text() {
    return this.#done + this.#rest;
  }

  /** Add to the end, and draw. */
  push(piece) {
    this.#rest = (this.#rest + piece).replace(/\r\n|\r(?!$)/g, "\n");
    this.#settle();
    this.#draw(this.#read(mend(this.#head + this.#rest)));
  }

  /** Draw the last block as it really stands; where addresses stand at the end, the links above find theirs. */
  finish() {
    const tokens = this.#read(this.#head + this.#rest);
    if (!this.#close(tokens)) this.#draw(tokens);
    if (/^ {0,3}\[[^\]\n]+\]:/m.test(this.text)) morph(this.#root, 0, nodes(this.#read(this.text), this.#cite));
  }

  get #head() {
    return this.#open?.head ?? "";
  }

  /** Every block that another one follows is done, and of the last one every part. */
  #settle() {
    const tokens = this.#read(this.#head + this.#rest);
    const last = tokens.findLastIndex((token) => token.type !== "space");
    if (last > 0 && !this.#close(tokens.slice(0, last))) return;
    this.#keepPart(tokens[last]);
  }

  #draw(tokens) {
    const made = nodes(tokens, this.#cite);
    if (!this.#open) return void morph(this.#root, this.#kept, made);
    const { type, inside, kept } = this.#open;
    const end = tokens[0]?.type === type ? [...insideOf(type, made.shift()).childNodes] : [];
    morph(inside, kept, end);
    morph(this.#root, this.#kept + 1, made);
  }

  /** Draw whole blocks for good; whether they are the text's own beginning. */
  #close(tokens) {
    const source = tokens.map((token) => token.raw).join("");
    if (!(this.#head + this.#rest).startsWith(source)) return false;
    this.#draw(tokens);
    const begun = this.#open;
    const part = this.#take(source);
    if (begun && !begun.exact) morph(this.#root, this.#kept, nodes(this.#read(begun.source + part), this.#cite));
    this.#kept = this.#root.childNodes.length;
    this.#open = null;
    return true;
  }

  /** Draw for good what is done of a long block. */
  #keepPart(token) {
    if (!token || token.raw.length - this.#head.length < PART) return;
    const done = donePart(token);
    if (!done || done.length - this.#head.length < PART || !token.raw.startsWith(this.#head)) return;
    const source = token.raw.slice(0, done.length);
    this.#draw(this.#read(source));
    const { source: before = "", exact = true } = this.#open ?? {};
    const inside = this.#open?.inside ?? insideOf(token.type, this.#root.childNodes[this.#kept]);
    const part = this.#take(source);
    this.#open = { type: token.type, head: done.head, inside, kept: inside.childNodes.length, source: before + part, exact: exact && done.exact };
  }

  /** Move what was drawn from the rest to what is done. */
  #take(source) {
    const part = source.slice(this.#head.length);
    this.#done += part;
    this.#rest = this.#rest.slice(part.length);
    if (part) this.#told(part);
    return part;
  }
}
