// A page is kept current by asking for it again and taking over what changed. The server alone knows what a
// page looks like; here is no second rendering of anything.
import { morph } from "./morph.js";

let etag = "";
let timer = 0;
let shown = 0; // counts loads, so that a slow answer never replaces a newer one
let asked = 0; // how many answers somebody waits for, which looking for news must not overtake

/** Begins to ask for news, as often as the page says. */
export function keepCurrent() {
  document.querySelectorAll("[data-follow]").forEach(toEnd);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      refresh();
    }
  });
  plan();
}

function plan() {
  clearTimeout(timer);
  const seconds = Number(document.documentElement.dataset.refresh);
  if (seconds > 0) {
    timer = setTimeout(refresh, seconds * 1000);
  }
}

async function refresh() {
  if (!document.hidden && asked === 0) {
    await takeOver(location.href).catch(() => {}); // the service restarts, or the network is away: try again
  }
  plan();
}

/** Shows the live parts of a page that somebody asked for. Returns false when a later load overtook it. */
export async function load(url) {
  asked++;
  try {
    return await takeOver(url);
  } finally {
    asked--;
  }
}

/** Takes over the live parts of a page as the server has it now. */
async function takeOver(url) {
  const mine = ++shown;
  const answer = await fetch(url, { headers: etag && url === location.href ? { "If-None-Match": etag } : {}, cache: "no-store" });
  if (mine !== shown || answer.status === 304) {
    return mine === shown;
  }
  const text = await answer.text();
  if (mine !== shown) {
    return false;
  }
  if (!answer.headers.get("Content-Type")?.startsWith("text/html")) {
    throw new Error(`${url}: ${answer.status}`);
  }
  etag = answer.headers.get("ETag") ?? "";
  const page = new DOMParser().parseFromString(text, "text/html");
  if (version(page) !== version(document)) { // the service was renewed: its pages go with its own scripts
    location.reload();
    return false;
  }
  const before = states(document);
  const followed = [...document.querySelectorAll("[data-follow]")].filter(atEnd).map((element) => element.id);
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = page.getElementById(part.id);
    if (now) {
      morph(part, now);
    }
  }
  document.documentElement.dataset.refresh = page.documentElement.dataset.refresh ?? "0";
  for (const id of followed) {
    toEnd(document.getElementById(id));
  }
  announce(before, states(document));
  return true;
}

/** Which assets a page goes with. */
function version(page) {
  return page.querySelector("link[rel=stylesheet]")?.getAttribute("href");
}

// A log is followed as long as its end is in sight.

function atEnd(element) {
  return element.scrollHeight - element.scrollTop - element.clientHeight < 8;
}

function toEnd(element) {
  if (element) {
    element.scrollTop = element.scrollHeight;
  }
}

/** What each request on the page is in, by the id of its element. */
function states(root) {
  const all = new Map();
  for (const element of root.querySelectorAll("[data-state]")) {
    all.set(element.id, element.dataset.state);
  }
  return all;
}

/** Says aloud, to those who cannot see it, which requests changed their state. */
function announce(before, after) {
  const news = [];
  for (const [id, state] of after) {
    if (before.has(id) && before.get(id) !== state) {
      news.push(`Request ${id.replace("request-", "")}: ${state}`);
    }
  }
  if (news.length > 0) {
    document.getElementById("announce").textContent = news.join(". ");
  }
}
