// Periodic refresh. Each one starts after the previous one has finished, and only while the page is visible.

import { h, icon } from "./dom.js";

const ROUND = "M8 2a6 6 0 105.9 7h-1.6A4.5 4.5 0 118 3.5c1.2 0 2.3.5 3.1 1.3L9 7h5V2l-1.8 1.8A6 6 0 008 2z";
const PLAY = "M4 2.5v11l9-5.5z";
const PAUSE = "M4 3h3v10H4zM9 3h3v10H9z";
const CHOICES = [5, 10, 30, 60, 300, 900];
const WAIT_FOR_ANSWERS_MS = 250;

/** `onLook()`: look now; `isBusy()`: an earlier look has not ended; `onChoose(seconds)`: 0 = paused. */
export function refresher({ onLook, isBusy, onChoose }) {
  const now = h(
    "button",
    { type: "button", class: "tool", "aria-label": "Refresh", title: "Refresh now", on: { click: onLook } },
    icon(ROUND),
  );
  const pause = h("button", { type: "button", class: "tool", on: { click: () => onChoose(seconds === 0 ? last : 0) } });
  const choice = h("select", {
    "aria-label": "Refresh interval",
    on: { change: () => onChoose(Number(choice.value)) },
  });
  let seconds = 0;
  let last = 10; // interval for "resume"
  let timer = null;

  function schedule(delayMs = seconds * 1000) {
    clearTimeout(timer);
    timer = seconds > 0 ? setTimeout(tick, delayMs) : null;
  }

  function tick() {
    if (document.hidden || isBusy()) {
      schedule(WAIT_FOR_ANSWERS_MS);
      return;
    }
    onLook();
  }

  return {
    element: h("div", { class: "refresh", role: "group", "aria-label": "Refreshing" }, now, choice, pause),
    /** A look has begun; count from here. */
    looked: () => schedule(),
    update(next) {
      seconds = next;
      if (seconds > 0) last = seconds;
      const offered = [...new Set([...CHOICES, last])].sort((one, other) => one - other);
      choice.replaceChildren(
        h("option", { value: 0 }, "Paused"),
        ...offered.map((each) => h("option", { value: each }, said(each))),
      );
      choice.value = seconds;
      pause.replaceChildren(icon(seconds === 0 ? PLAY : PAUSE));
      pause.setAttribute("aria-label", seconds === 0 ? "Resume refreshing" : "Pause refreshing");
      pause.title = seconds === 0 ? `Refresh every ${said(last)}` : "Pause";
      schedule();
    },
  };
}

function said(seconds) {
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}
