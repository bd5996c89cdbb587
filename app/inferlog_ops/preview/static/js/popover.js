// A button that opens a small window beside it. The browser closes it on Escape and on a click elsewhere.

import { uniqueId } from "./dom.js";

const GAP_PX = 4;

/** Let `button` open `content`; `onOpen` is called each time before it is seen. */
export function popover(button, content, { onOpen = () => {} } = {}) {
  content.id ||= uniqueId("popover");
  content.popover = "auto";
  content.classList.add("popover");
  button.setAttribute("popovertarget", content.id);
  button.setAttribute("aria-haspopup", "dialog");
  button.setAttribute("aria-expanded", "false");
  content.addEventListener("beforetoggle", (event) => {
    if (event.newState === "open") onOpen();
  });
  content.addEventListener("toggle", (event) => {
    button.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "open") place(button, content);
  });
  button.after(content);
}

function place(button, content) {
  const at = button.getBoundingClientRect();
  const width = content.offsetWidth;
  const left = Math.max(GAP_PX, Math.min(at.left, innerWidth - width - GAP_PX));
  content.style.setProperty("left", `${left + scrollX}px`);
  content.style.setProperty("top", `${at.bottom + scrollY + GAP_PX}px`);
}
