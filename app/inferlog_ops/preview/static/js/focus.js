// Keyboard focus across redraws.

/** Run `draw`, which replaces the content of `body`, and restore the focus to the element with the same name. */
export async function keepingFocus(body, draw) {
  const held = body.contains(document.activeElement) ? document.activeElement : null;
  const place = held ? alike(body, held).indexOf(held) : -1;
  const drawn = await draw();
  const isLost = held && !held.isConnected && document.activeElement === document.body;
  if (isLost) alike(body, held)[place]?.focus({ preventScroll: true });
  return drawn;
}

function alike(body, element) {
  return [...body.querySelectorAll(element.localName)].filter((each) => nameOf(each) === nameOf(element));
}

const nameOf = (element) => element.getAttribute("aria-label") ?? element.textContent;
