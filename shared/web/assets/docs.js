// Shows the API's description in the viewer that lies beside us. Nothing is asked for elsewhere.

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const place = document.getElementById("viewer");
const answer = await fetch(place.dataset.description);
const description = await answer.json();
// The description says where the API is when we are at the root of a host; a proxy may have put a path before it.
description.servers = [{ url: new URL(`${place.dataset.root}api/v1`, location.href).href }];
window.SwaggerUIBundle({
  spec: description,
  domNode: place,
  deepLinking: false, // its links are inside buttons, which nobody can use without a mouse; see below
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  supportedSubmitMethods: ["get"], // what only reads may be tried out here
  validatorUrl: null,
  queryConfigEnabled: false,
});

await new Promise((resolve) => {
  const seen = new MutationObserver(() => {
    if (place.querySelector(".opblock")) {
      seen.disconnect();
      resolve();
    }
  });
  seen.observe(place, { childList: true, subtree: true });
});
const inner = place.querySelector("main"); // the page has a main part of its own
inner?.setAttribute("role", "group");
inner?.setAttribute("aria-label", "Operations");

// An operation that is opened stands in the address, and an address with one opens it.
place.addEventListener("click", (event) => {
  const operation = event.target.closest(".opblock-summary") && event.target.closest(".opblock");
  if (operation?.id) {
    history.replaceState(null, "", `#${operation.id}`);
  }
});
const wanted = location.hash && document.getElementById(location.hash.slice(1));
if (wanted && place.contains(wanted)) {
  wanted.querySelector(".opblock-summary-control")?.click();
  wanted.scrollIntoView();
}
