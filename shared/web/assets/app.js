// Everything works without this: it keeps pages current, answers while people type, and copies.
import { keepCurrent } from "./live.js";

document.title = document.documentElement.dataset.title;
keepCurrent();
