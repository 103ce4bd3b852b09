// The engine's gauges, asked once a second while the page is seen, and the progress of pulls.

import { $, $$ } from "./dom.js";
import { call, Refused } from "./http.js";

const speeds = [];

function trace(line, value) {
  speeds.push(value);
  if (speeds.length > 120) speeds.shift();
  const top = Math.max(10, ...speeds);
  line.setAttribute("points", speeds.map((speed, index) => `${((index + 120 - speeds.length) / 119) * 600},${118 - (speed / top) * 112}`).join(" "));
  $("[data-top]").textContent = `${Math.round(Math.max(...speeds))} tokens a second`;
}

function show(gauges) {
  for (const [name, { text, share }] of Object.entries(gauges)) {
    const place = $(`[data-gauge="${name}"]`);
    if (!place) continue;
    $("span", place).textContent = text;
    const bar = $("progress", place);
    if (bar) bar.value = share ?? 0;
  }
}

function showPulls(pulls) {
  for (const pull of pulls) {
    const place = $(`[data-pull="${CSS.escape(pull.id)}"]`);
    if (!place) continue;
    const bar = $("progress", place);
    if (bar) bar.value = pull.share;
    $(".said", place).textContent = pull.words;
    if (pull.done && !place.dataset.done) location.reload();
  }
}

async function look() {
  if (document.hidden) return;
  try {
    const seen = await call("GET", "/web/console/live");
    show(seen.gauges);
    showPulls(seen.pulls);
    const line = $(".trace");
    if (line) trace(line, seen.tokens_a_second);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
}

if ($$("[data-gauge], [data-pull]").length) {
  look();
  setInterval(look, 1000);
}
