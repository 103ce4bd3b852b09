// Sign-in and the first account: nothing but a form.

import { listen } from "./forms.js";

listen();
