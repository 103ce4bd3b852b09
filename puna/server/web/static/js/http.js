// Requests to our own server, as JSON with the header that a foreign page cannot send. Failures come out as Refused.

import { toast } from "./toast.js";

export class Refused extends Error {
  constructor(status, { message, link = null, link_text = null }) {
    super(message);
    Object.assign(this, { status, link, linkText: link_text });
  }
}

const HEADERS = { "X-Puna": "page", Accept: "application/json" };

function refused(status, body) {
  const error = body?.error ?? { message: `The server answered ${status}.` };
  if (status === 401 && error.link) location.assign(`${error.link}?next=${encodeURIComponent(location.pathname)}`);
  return new Refused(status, error);
}

const refusal = async (response) => refused(response.status, await response.json().catch(() => null));

async function request(method, url, body, { headers = {}, signal } = {}) {
  const response = await fetch(url, { method, headers: { ...HEADERS, ...headers }, body, signal, credentials: "same-origin" }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { message: "Puna does not answer. Is it still running?" });
  });
  if (!response.ok) throw await refusal(response);
  return response;
}

const asJson = { "Content-Type": "application/json" };

export async function call(method, url, body) {
  const response = await request(method, url, body === undefined ? undefined : JSON.stringify(body), body === undefined ? {} : { headers: asJson });
  return response.status === 204 ? null : response.json();
}

/** Ask for something whose answer nobody hears, also while the page is being left. */
export const inPassing = (method, url, body) =>
  fetch(url, { method, headers: { ...HEADERS, ...(body && asJson) }, body: body && JSON.stringify(body), credentials: "same-origin", keepalive: true }).catch(() => {});

/** A file's bytes; never a form, so that no foreign form can send one. `sent` hears which share of it has gone out. */
export const upload = (url, file, sent) =>
  new Promise((done, failed) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far it is
    const refuse = (message) => failed(new Refused(request.status, { message }));
    request.open("POST", url);
    const headers = { ...HEADERS, "Content-Type": "application/octet-stream", "X-File-Name": encodeURIComponent(file.name) };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.total && sent(event.loaded / event.total);
    request.onerror = () => refuse("The file did not arrive: the connection was lost.");
    request.onload = () => (request.status < 400 ? done(request.response) : failed(refused(request.status, request.response)));
    request.send(file);
  });

/** The events of a running answer, asked for at once; `opened` sees the response before the first. */
export function events(method, url, body, opened = () => {}) {
  const asked = request(method, url, body && JSON.stringify(body), { headers: body ? asJson : {} });
  asked.catch(() => {}); // whoever reads the lines hears of it
  return lines(asked, opened);
}

/** Yield one JSON object a line. */
async function* lines(asked, opened) {
  const response = await asked;
  opened(response);
  const [reader, decoder] = [response.body.getReader(), new TextDecoder()];
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch(() => ({ done: true })); // the line was cut
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
  }
}

/** Try it; what is refused is told in a toast. Returns undefined then. */
export async function told(promise) {
  try {
    return await promise;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    toast(error.message, error.link && { href: error.link, text: error.linkText ?? "See" });
    return undefined;
  }
}
