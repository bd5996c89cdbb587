// Which time is shown: a list of the usual ranges, two fields for any other, and whose clock.

import * as clock from "./clock.js";
import { h, icon, uniqueId } from "./dom.js";
import { popover } from "./popover.js";
import * as timerange from "./timerange.js";

const CLOCK =
  "M8 1a7 7 0 100 14A7 7 0 008 1zm0 1.5a5.5 5.5 0 110 11 5.5 5.5 0 010-11zM7.3 4v4.6l3.2 1.9.7-1.2-2.5-1.5V4z";

/** `onPick(from, to)`: called with a new range; `onZone(utc)`: called with the time zone. */
export function timePicker({ onPick, onZone }) {
  const label = h("span", {});
  const zone = h("span", { class: "zone" });
  const button = h("button", { type: "button", class: "tool range" }, icon(CLOCK), label, zone);
  const complaint = h("p", { class: "complaint", role: "alert" });
  const [from, to] = ["From", "To"].map((name) => ({
    name,
    input: h("input", {
      type: "text",
      id: uniqueId("moment"),
      spellcheck: "false",
      autocomplete: "off",
      maxlength: "40",
    }),
  }));
  const quick = h("ul", { class: "quick" });
  const utcBox = h("input", { type: "checkbox", on: { change: () => onZone(utcBox.checked) } });
  let state = { from: null, to: null, utc: false };

  const form = h(
    "form",
    { class: "absolute", on: { submit: apply } },
    [from, to].map(({ name, input }) => h("div", { class: "field" }, h("label", { for: input.id }, name), input)),
    h("p", { class: "options-note" }, "A time such as 2026-11-23 06:15, or now, now-90m, now/d"),
    complaint,
    h("button", { type: "submit", class: "tool primary" }, "Show"),
    h("label", { class: "option" }, utcBox, "Times in UTC"),
  );
  const content = h("div", { class: "range-window", role: "dialog", "aria-label": "Range of time" }, quick, form);

  function apply(event) {
    event.preventDefault();
    const [begin, end] = [from.input.value.trim(), to.input.value.trim()];
    const problem = trouble(begin, end, state.utc);
    complaint.textContent = problem ?? "";
    if (problem) return;
    content.hidePopover();
    onPick(
      ...[begin, end].map((text) =>
        timerange.isRelative(text) ? text : timerange.moment(text, new Date(), state).toISOString(),
      ),
    );
  }

  popover(button, content, {
    onOpen: () => {
      complaint.textContent = "";
      for (const [{ input }, text] of [
        [from, state.from],
        [to, state.to],
      ])
        input.value = typed(text, state.utc);
      utcBox.checked = state.utc;
      quick.replaceChildren(
        ...timerange.QUICK_RANGES.map((range) =>
          h(
            "li",
            {},
            h(
              "button",
              {
                type: "button",
                class: "plain quick-range",
                "aria-current": range.from === state.from && range.to === state.to ? "true" : null,
                on: {
                  click: () => {
                    content.hidePopover();
                    onPick(range.from, range.to);
                  },
                },
              },
              range.label,
            ),
          ),
        ),
      );
    },
  });

  return {
    element: h("div", { class: "range-place" }, button, content),
    /** `shown`: begin and end as they are now. */
    update(next, shown) {
      state = next;
      const write = (date, precision) => clock.formatTime(date, precision, next.utc);
      label.textContent = timerange.label(next.from, next.to, write);
      zone.textContent = next.utc ? "UTC" : `local, ${clock.zone(new Date(), false)}`;
      button.title = `${write(shown.from, "second")} → ${write(shown.to, "second")}`;
    },
  };
}

function trouble(begin, end, utc) {
  const now = new Date();
  for (const text of [begin, end]) {
    if (!timerange.moment(text, now, { utc })) return `“${text}” is not a valid time`;
  }
  return timerange.resolve(begin, end, now, { utc }) ? null : "The end must be after the start";
}

/** A moment as somebody would type it. */
function typed(text, utc) {
  return timerange.isRelative(text)
    ? text
    : clock
        .plotTime(new Date(text), utc)
        .replace("T", " ")
        .replace(/\.000$/, "");
}
