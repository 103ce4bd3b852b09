// Sign-in and the first account: nothing but a form. The one-time token follows `#`, which no server's log sees.

import { $ } from "./dom.js";
import { listen } from "./forms.js";

const token = $('input[name="token"]');
if (token) {
  token.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  if (!token.value) $(".wrong").textContent = "Open the whole link, with what follows #.";
}
listen();
