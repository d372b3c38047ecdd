// Buttons that copy what another element says.

/** Makes buttons with data-copy work; the attribute names the element whose text is copied. */
export function copyOnClick() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    const source = button && document.getElementById(button.dataset.copy);
    if (!source) {
      return;
    }
    const done = (await copy(source)) ? "Copied" : "Press Ctrl+C";
    button.textContent = done;
    document.getElementById("announce").textContent = done;
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
}

/** Copies an element's text; where the browser refuses (pages without TLS), the text is selected instead. */
async function copy(source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(source);
    return false;
  }
}
