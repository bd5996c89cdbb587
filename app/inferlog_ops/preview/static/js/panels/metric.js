// One large figure, or a tile for each value of the breakdown.

import { nameOf, placeOf, requireColumns, timeColumn, typeOf } from "../answer.js";
import { byValue, inkOn, OTHER_VERSIONS } from "../colours.js";
import { h, svg } from "../dom.js";
import { formatter, UNKNOWN } from "../format.js";

export function draw(body, { config }, { answers: [answer], trend }, page) {
  const primary = config.metrics.find(({ type }) => type !== "secondary");
  const secondary = config.metrics.find(({ type }) => type === "secondary");
  const breakdown = config.breakdown_by?.column;
  requireColumns(answer, [primary.column, secondary?.column, breakdown]);
  const write = formatter(primary.format, typeOf(answer, primary.column), page);
  const figures = answer.rows.map((row) => row[placeOf(answer, primary.column)]);
  const known = figures.filter((figure) => figure !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const rows = breakdown ? answer.rows : answer.rows.slice(0, 1);

  const tiles = rows.map((row, index) => {
    const name = breakdown ? nameOf(row[placeOf(answer, breakdown)]) : null;
    const colour = byValue(primary.color, figures[index], least, most);
    const label = primary.label ?? primary.column;
    return tile({
      title: name ?? label,
      subtitle: primary.subtitle ?? (name === null ? null : label),
      value: write(figures[index]),
      known: figures[index] !== null,
      colour,
      onBackground: primary.apply_color_to === "background",
      secondary:
        secondary && secondaryText(secondary, answer, row, figures[index], config.styling?.secondary?.label, page),
      trend: trend && trendLine(trend, primary.column, breakdown, name),
      onFilter: filters(name) && page.canFilter(breakdown) ? () => page.filterBy(breakdown, name) : null,
    });
  });
  // A list of its own row: one tile that is as wide as four is harder to compare than four.
  const columns = Math.min(config.breakdown_by?.columns ?? 3, Math.max(tiles.length, 1));
  body.replaceChildren(h("ul", { class: "tiles", style: { "--columns": columns } }, tiles));
}

/** `(other)` groups many values; no event has it. */
const filters = (name) => name !== null && name !== OTHER_VERSIONS;

function tile({ title, subtitle, value, known, colour, onBackground, secondary, trend, onFilter }) {
  const painted = colour && onBackground;
  const heading = onFilter
    ? h(
        "button",
        { type: "button", class: "tile-title plain", title: `Show ${title} only`, on: { click: onFilter } },
        title,
      )
    : h("span", { class: "tile-title" }, title);
  return h(
    "li",
    {
      class: `tile${painted ? " painted" : ""}`,
      style: { "--tile": painted ? colour : null, "--ink": painted ? inkOn(colour) : null },
    },
    trend,
    h("div", { class: "tile-head" }, heading, subtitle && h("span", { class: "tile-subtitle" }, subtitle)),
    h(
      "div",
      { class: "tile-figures" },
      secondary,
      h(
        "span",
        {
          class: "tile-value",
          title: known ? null : "not known",
          style: { color: colour && !onBackground ? colour : null, "--characters": value.length },
        },
        value,
      ),
    ),
  );
}

function secondaryText(metric, answer, row, primary, placing, page) {
  const value = row[placeOf(answer, metric.column)];
  const write = formatter(metric.format, typeOf(answer, metric.column), page);
  const label = placing?.visible === false ? null : (metric.label ?? metric.column);
  const [before, after] = placing?.placement === "after" ? [null, label] : [label, null];
  return h(
    "span",
    { class: "tile-secondary" },
    before && h("span", {}, before),
    h(
      "strong",
      { style: { color: metric.color?.type === "static" ? metric.color.color : null } },
      comparison(metric, value, primary, write),
    ),
    after && h("span", {}, after),
  );
}

/** The figure, or its difference from the comparison. */
function comparison({ compare }, value, primary, write) {
  if (!compare || value === null) return write(value);
  const reference = compare.to === "baseline" ? (compare.baseline ?? 0) : primary;
  if (reference === null) return UNKNOWN;
  const difference = compare.to === "baseline" ? value - reference : reference - value;
  const arrow = difference > 0 ? "↑" : difference < 0 ? "↓" : "=";
  const shown = compare.value === false ? "" : ` ${write(compare.to === "baseline" ? value : Math.abs(difference))}`;
  return `${compare.icon === false ? "" : arrow}${shown}`.trim();
}

/** The figure over time, drawn faintly behind the tile. */
function trendLine(trend, column, breakdown, name) {
  const [x, y, by] = [timeColumn(trend), column, breakdown].map((each) => placeOf(trend, each));
  if (x === -1 || y === -1 || (breakdown && by === -1)) return null;
  const points = trend.rows
    .filter((row) => row[y] !== null && (!breakdown || nameOf(row[by]) === name))
    .map((row) => [Date.parse(row[x]), row[y]]);
  if (points.length < 2) return null;
  const [first, last] = [points[0][0], points.at(-1)[0]];
  const most = Math.max(...points.map(([, value]) => value)) || 1;
  const at = ([moment, value]) => `${((moment - first) / (last - first)) * 100},${(1 - value / most) * 100}`;
  const line = points.map(at).join(" ");
  return svg(
    "svg",
    { class: "trend", viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polygon", { points: `0,100 ${line} 100,100` }),
    svg("polyline", { points: line }),
  );
}
