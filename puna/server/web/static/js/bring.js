// Conversations that were exported, brought back from a file.

import { $ } from "./dom.js";
import { told, upload } from "./http.js";
import { toast } from "./toast.js";

const counted = (n, noun) => (n === 1 ? `One ${noun} is` : `${n} ${noun}s are`);

const button = $("[data-bring]");
const picker = $("input[type=file]", button.parentElement);

async function bring() {
  button.disabled = true;
  const answer = await told(upload(button.dataset.bring, picker.files[0], () => {}));
  [button.disabled, picker.value] = [false, ""];
  const missing = answer?.missing ? ` ${counted(answer.missing, "file")} not in it.` : "";
  if (answer) toast(`${counted(answer.conversations, "conversation")} here again.${missing}`, { href: "/", text: "To the chat" });
}

button.addEventListener("click", () => picker.click());
picker.addEventListener("change", () => picker.files.length && bring());
