// A tag, its attributes and its children in; a node out. Text is always a text node: no HTML string exists on this page.

const base = new URL("..", import.meta.url);

/** The address of a static file beside this script. */
export const asset = (path) => new URL(path, base).href;

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${asset("icons.svg")}#${name}`);
  svg.append(use);
  return svg;
}

/** A button that is an icon; its name is for those who hear it, and its title for those who point. */
export const iconButton = (name, label, onclick, more = {}) =>
  h("button", { type: "button", class: "quiet", title: label, "aria-label": label, onclick, ...more }, icon(name));

export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

/** JSON that the server left in the page. */
export const given = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");
