// Search and filter forms answer while people type. The form's own URL is what is asked and what the address
// bar shows, so every answer can be linked to, and going back works as without script.
import { load } from "./live.js";

const pause = 120; // ms without a key before the server is asked

/** Makes forms with data-instant answer at once, and the key "/" lead to the page's search. */
export function answerWhileTyping() {
  let timer = 0;
  const wait = (form, ms) => {
    clearTimeout(timer);
    timer = setTimeout(() => ask(form), ms);
  };
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (form?.matches("[data-instant]") && event.target.matches("input")) {
      wait(form, pause);
    }
  });
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form?.matches("[data-instant]") && event.target.matches("select")) {
      wait(form, 0);
    }
  });
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[data-instant]")) {
      event.preventDefault();
      if (event.target.reportValidity()) {
        wait(event.target, 0);
      }
    }
  });
  document.addEventListener("keydown", (event) => {
    const field = document.querySelector("[data-find]");
    if (event.key === "/" && field && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.matches("input, textarea, select")) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  });
}

async function ask(form) {
  if (!form.checkValidity()) { // a commit that is not whole yet
    return;
  }
  const url = new URL(form.getAttribute("action"), location.href);
  url.search = "";
  for (const [name, value] of new FormData(form)) {
    if (value !== "") {
      url.searchParams.append(name, value);
    }
  }
  const results = document.getElementById(form.dataset.instant);
  results.setAttribute("aria-busy", "true");
  try {
    if (await load(url.href)) {
      history.replaceState(null, "", url);
      sayHowMany(results);
    }
  } catch {
    form.submit(); // let the browser show what is wrong
  } finally {
    results.removeAttribute("aria-busy");
  }
}

function sayHowMany(results) {
  const text = results.querySelector(".pager p, h2, .callout p")?.textContent.trim() ?? "";
  document.getElementById("announce").textContent = text;
}
