// Makes the children of a node equal to new ones while keeping what already stands: no flicker, and a selection survives.

const same = (old, fresh) => old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && old.className === fresh.className;

function become(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (fresh.data.startsWith(old.data)) old.appendData(fresh.data.slice(old.data.length));
    else old.data = fresh.data;
    return;
  }
  if (old.source !== undefined && old.source === fresh.source) return;
  old.source = fresh.source;
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  morph(old, 0, [...fresh.childNodes]);
}

/** The children of `root` from number `start` on become `fresh`. */
export function morph(root, start, fresh) {
  fresh.forEach((wanted, index) => {
    const node = typeof wanted === "string" ? document.createTextNode(wanted) : wanted;
    const old = root.childNodes[start + index];
    if (!old) root.append(node);
    else if (same(old, node)) become(old, node);
    else old.replaceWith(node);
  });
  while (root.childNodes.length > start + fresh.length) root.lastChild.remove();
}
