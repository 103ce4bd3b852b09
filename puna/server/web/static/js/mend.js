// The last block of a growing text, cut short in the middle of its markup; out comes one that looks the same when the rest arrives.

const FENCE = /^ {0,3}(`{3,}|~{3,})/;

function insideFence(text) {
  let fence = null;
  for (const line of text.split("\n")) {
    const found = FENCE.exec(line)?.[1];
    if (!fence) fence = found ?? null;
    else if (found?.startsWith(fence) && line.trim() === found) fence = null;
  }
  return fence !== null;
}

/** A last line that may still become a list, a heading, a rule or a fence says nothing yet. */
const holdLine = (text) => text.replace(/(^|\n)[ \t]*(?:[-*+=_~`#>|]{1,4}|\d{1,3}[.)]?)[ \t]*$/, "$1");

/** The first row of a table waits for the line below it. */
const holdTable = (text) => (/(^|\n)\|[^\n]*(\n\|?[\s:|-]*)?$/.test(text) && !/\n\|?[ :]*-{2,}[-:| ]*\|[^\n]*\n/.test(text) ? text.replace(/(^|\n)\|[^\n]*(\n\|?[\s:|-]*)?$/, "$1") : text);

/** Half a link shows its words, half a picture nothing. */
const holdLink = (text) => text.replace(/!\[[^\]\n]*(?:\]\([^)\n]*)?$/, "").replace(/\[([^\]\n]*)\]\([^)\n]*$/, "$1");

/** A formula appears when it is whole. */
function holdMath(text) {
  const open = text.lastIndexOf("$$");
  if (open >= 0 && text.split("$$").length % 2 === 0) return text.slice(0, open);
  return text.replace(/\\\[(?:(?!\\\])[\s\S])*$/, "").replace(/\\\((?:(?!\\\))[^\n])*$/, "");
}

function closeMarks(text) {
  const lastLines = text.slice(text.lastIndexOf("\n\n") + 1);
  if ((lastLines.match(/(?<!\\)`/g) ?? []).length % 2) return text.endsWith("`") ? text.slice(0, -1) : `${text}\``;
  const words = lastLines.replace(/`[^`]*`/g, "");
  for (const mark of ["**", "__", "~~"]) {
    if (words.split(mark).length % 2 === 0) return text.trimEnd().endsWith(mark) ? text.trimEnd().slice(0, -mark.length) : `${text.trimEnd()}${mark}`;
  }
  if (/(?<![*\w])\*(?=[^\s*])[^*\n]*$/.test(words)) return `${text.trimEnd()}*`;
  return text.replace(/(?<![*\\])\*$/, "");
}

export function mend(text) {
  if (insideFence(text)) return text.replace(/\n[`~]{1,}$/, "");
  return closeMarks(holdMath(holdLink(holdTable(holdLine(text)))));
}
