// Shows the API's description in the viewer that lies beside us. Nothing is asked for elsewhere.

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const place = document.getElementById("viewer");
const answer = await fetch(place.dataset.description);
const description = await answer.json();
// The description says where the API is when we are at the root of a host; a proxy may have put a path before it.
description.servers = [{ url: new URL(`${place.dataset.root}api/v1`, location.href).href.replace(/\/$/, "") }];
window.SwaggerUIBundle({
  spec: description,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  supportedSubmitMethods: ["get"], // what only reads may be tried out here
  validatorUrl: null,
  queryConfigEnabled: false,
});
