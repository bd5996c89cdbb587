// Top bar: dashboards, time range, refresh, theme.

import { h, icon } from "./dom.js";
import { timePicker } from "./picker.js";
import { refresher } from "./refresh.js";

const HALF_MOON = "M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM8 3v10A5 5 0 018 3z";

export function topBar({ onPick, onZone, onRefresh, onLook, isBusy, onTheme }) {
  const links = h("ul", { class: "dashboards" });
  const picker = timePicker({ onPick, onZone });
  const refresh = refresher({ onLook, isBusy, onChoose: onRefresh });
  const element = h(
    "div",
    { class: "bar" },
    h(
      "a",
      { class: "brand", href: "#", title: "The first dashboard" },
      h("img", { src: "/static/icon.svg", alt: "", width: "20", height: "20" }),
      "inferlog",
    ),
    h("nav", { "aria-label": "Dashboards" }, links),
    h(
      "div",
      { class: "tools" },
      picker.element,
      refresh.element,
      h(
        "button",
        {
          type: "button",
          class: "tool",
          "aria-label": "Light or dark colours",
          title: "Light or dark",
          on: { click: onTheme },
        },
        icon(HALF_MOON),
      ),
    ),
  );
  return {
    element,
    /** `state`: current state; `described`: the dashboard; `known`: all dashboards; `linkTo(id)`: their addresses. */
    update(state, described, known, linkTo) {
      links.replaceChildren(
        ...known.map(({ id, title, description }) =>
          h(
            "li",
            {},
            h(
              "a",
              { href: linkTo(id), title: description || null, "aria-current": id === described.id ? "page" : null },
              title,
            ),
          ),
        ),
      );
      links.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
      refresh.update(state.refresh);
    },
    /** Show the current range of the panels. */
    shown: (state, shown) => picker.update(state, shown),
    looked: refresh.looked,
  };
}
