// Conversations that were exported, brought back from a file.

import { $ } from "./dom.js";
import { told, upload } from "./http.js";
import { toast } from "./toast.js";

const button = $("[data-bring]");
const picker = $("input[type=file]", button.parentElement);

async function bring() {
  button.disabled = true;
  const answer = await told(upload(button.dataset.bring, picker.files[0], () => {}));
  [button.disabled, picker.value] = [false, ""];
  if (answer) toast(answer.brought === 1 ? "One conversation is here again." : `${answer.brought} conversations are here again.`, { href: "/", text: "To the chat" });
}

button.addEventListener("click", () => picker.click());
picker.addEventListener("change", () => picker.files.length && bring());
