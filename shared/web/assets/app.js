// Everything works without this: it keeps pages current, answers while people type, and copies.
import { copyOnClick } from "./copy.js";
import { answerWhileTyping } from "./instant.js";
import { keepCurrent } from "./live.js";

document.title = document.documentElement.dataset.title;
document.documentElement.classList.add("scripted");
copyOnClick();
answerWhileTyping();
keepCurrent();
