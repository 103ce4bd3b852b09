// A server that is still starting: look again by itself, unless somebody ticks or writes.

import { $, $$ } from "./dom.js";

const AGAIN_MS = 1500;
const touched = () => $$("main input").some((field) => field.checked !== field.defaultChecked || field.value !== field.defaultValue);

const look = () => (touched() ? setTimeout(look, AGAIN_MS) : location.reload());
if ($("[data-starting]")) setTimeout(look, AGAIN_MS);
