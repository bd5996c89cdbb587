// The names and colours of a chart's series, each a button that hides or shows it.

import { h } from "./dom.js";
import { UNKNOWN } from "./format.js";
import { isBar, shadeOf } from "./traces.js";

const STATISTICS = {
  min: ["min", (values) => Math.min(...values)],
  max: ["max", (values) => Math.max(...values)],
  avg: ["avg", (values) => sum(values) / values.length],
  median: ["median", median],
  range: ["range", (values) => Math.max(...values) - Math.min(...values)],
  last_value: ["last", (values) => values.at(-1)],
  last_non_null_value: ["last", (values) => values.at(-1)],
  current_and_last_value: ["last", (values) => values.at(-1)],
  first_value: ["first", (values) => values[0]],
  first_non_null_value: ["first", (values) => values[0]],
  difference: ["change", (values) => values.at(-1) - values[0]],
  total: ["total", sum],
  count: ["slices", (values) => values.length],
};

/** Draw the legend, or null if it is hidden or has one entry. `hidden`: keys of hidden series, changed by clicks. */
export function drawLegend(options = {}, series, hidden, onChange) {
  const wanted = options.visibility ?? "auto";
  if (wanted === "hidden" || (wanted === "auto" && series.length < 2)) return null;
  const statistics = (options.statistics ?? []).filter((name) => name in STATISTICS);
  const list = h("ul", { class: "legend", "aria-label": "Series" });

  const flip = (key, alone) => {
    if (alone) {
      // A second click shows all series again.
      const onlyThis = series.every((each) => hidden.has(each.key) === (each.key !== key));
      hidden.clear();
      if (!onlyThis) for (const each of series) if (each.key !== key) hidden.add(each.key);
    } else if (!hidden.delete(key)) hidden.add(key);
    for (const [index, button] of list.querySelectorAll("button").entries()) {
      button.setAttribute("aria-pressed", String(!hidden.has(series[index].key)));
    }
    onChange();
  };

  list.append(
    ...series.map((each) => {
      const { key, name, points, write } = each;
      return h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            class: "plain series",
            "aria-pressed": String(!hidden.has(key)),
            title: `${name}\nClick: hide or show. Shift and click: this one only.`,
            on: { click: (event) => flip(key, event.shiftKey) },
          },
          swatch(each),
          h("span", { class: "series-name" }, name),
        ),
        statistics.map((statistic) => h("span", { class: "statistic" }, written(statistic, points, write))),
      );
    }),
  );
  return list;
}

/** The series' colour, as its line or bar looks. */
export function swatch(series) {
  const opacity = isBar(series) ? shadeOf(series) : null;
  const dashes = isBar(series) ? 0 : series.shade % 4;
  return h("span", {
    class: `swatch${dashes ? ` dashed-${dashes}` : ""}`,
    style: { "--colour": series.colour, opacity },
  });
}

function written(name, points, write) {
  const [label, compute] = STATISTICS[name];
  const values = points.map(({ y }) => y).filter((y) => y !== null);
  const value = values.length === 0 ? UNKNOWN : name === "count" ? String(values.length) : write(compute(values));
  return `${label} ${value}`;
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function median(values) {
  const ordered = [...values].sort((one, other) => one - other);
  const middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
}
