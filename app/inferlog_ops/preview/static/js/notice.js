// Notices that concern the whole page, above the panels.

import * as clock from "./clock.js";
import { h } from "./dom.js";

const BEFORE_MS = 14 * 60e3;
const AFTER_MS = 60e3;
const NOW_MS = 60e3;

export function notice(text, { action = null, kind = "warning" } = {}) {
  return h(
    "div",
    { class: `notice ${kind}`, role: "alert" },
    h("p", {}, text),
    action && h("button", { type: "button", class: "tool", on: { click: action.run } }, action.label),
  );
}

/** Notices on missing figures and their remedy; empty without a problem. */
export function statusNotice({ problem, newest_event: newest, future_events: future }, { from, to }, { go, utc }) {
  if (problem) return [notice(problem)];
  if (!newest)
    return [
      notice("No events yet. The panels fill when a service that logs with inferlog receives requests.", {
        kind: "calm",
      }),
    ];
  const when = new Date(newest);
  if (future && endsNow(to)) return [notice(future.text)];
  if (when >= from || when >= to) return [];
  const show = () =>
    go({ from: new Date(when - BEFORE_MS).toISOString(), to: new Date(when.getTime() + AFTER_MS).toISOString() });
  return [
    notice(`The newest event is of ${clock.formatTime(when, "second", utc)}, before this range.`, {
      kind: "calm",
      action: { label: "Go there", run: show },
    }),
  ];
}

/** True for a range up to now; other ranges exclude later events on purpose. */
const endsNow = (to) => Math.abs(Date.now() - to) < NOW_MS;
