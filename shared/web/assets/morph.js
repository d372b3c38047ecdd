// Makes an element like another one, changing only what differs: focus, selection, scrolling and open
// details stay as they are, and nothing jumps.

// Attributes that belong to the person in front of the screen once the page is shown.
const theirs = new Set(["open"]);

/** Makes the children and attributes of now those of next. */
export function morph(now, next) {
  attributes(now, next);
  const byID = new Map();
  for (const child of now.children) {
    if (child.id) {
      byID.set(child.id, child);
    }
  }
  let at = now.firstChild;
  for (const wanted of [...next.childNodes]) {
    const known = wanted.id && byID.get(wanted.id);
    if (known && known !== at) {
      now.insertBefore(known, at);
      at = known;
    }
    if (at && like(at, wanted)) {
      if (at.nodeType === Node.ELEMENT_NODE) {
        morph(at, wanted);
      } else if (at.data !== wanted.data) {
        at.data = wanted.data;
      }
      at = at.nextSibling;
      continue;
    }
    now.insertBefore(document.importNode(wanted, true), at);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function like(a, b) {
  return a.nodeName === b.nodeName && (a.id ?? "") === (b.id ?? "");
}

function attributes(now, next) {
  for (const { name, value } of [...next.attributes]) {
    if (!theirs.has(name) && now.getAttribute(name) !== value) {
      now.setAttribute(name, value);
    }
  }
  for (const { name } of [...now.attributes]) {
    if (!theirs.has(name) && !next.hasAttribute(name)) {
      now.removeAttribute(name);
    }
  }
}
