// From series to plotly's traces.

import { plain } from "./plot.js";
import { position } from "./series.js";

const DASHES = ["solid", "dash", "dot", "dashdot"];
const JOINED = ["linear", "lookahead", "average", "nearest"];
const SHAPES = { linear: "linear", smooth: "spline", stepped: "hv" };

/** How opaque the bars of a series are. */
export const shadeOf = ({ shade }) => Math.max(0.3, 1 - 0.3 * shade);

export const isBar = ({ kind }) => kind.startsWith("bar");

export function tracesOf(chart, config, page) {
  return chart.series.map((series) => (isBar(series) ? bars(series, chart, page) : line(series, chart, config, page)));
}

function common(series) {
  return {
    name: plain(series.name),
    meta: series.key,
    hoverinfo: "none", // replaced by the page's own tooltip, which never parses markup
    yaxis: series.axis === "y2" ? "y2" : "y",
  };
}

function bars(series, chart, page) {
  const at = series.points.map(({ x }) => position(x, chart, page));
  const sizes = series.points.map(({ y }) => y);
  return {
    ...common(series),
    type: "bar",
    orientation: chart.horizontal ? "h" : "v",
    x: chart.horizontal ? sizes : at,
    y: chart.horizontal ? at : sizes,
    marker: { color: series.colour, opacity: shadeOf(series), line: { width: 0 } },
    // Bars start at the start of their time slice; without this they would be centred on it.
    ...(chart.time && chart.widthMs ? { xperiod: chart.widthMs, xperiodalignment: "middle" } : {}),
  };
}

function line(series, chart, { styling = {} }, page) {
  const filled = series.kind.startsWith("area");
  const stacked = /stacked|percentage/.test(series.kind);
  const points = stacked ? series.points : fitted(series.points, chart, styling.fitting?.type ?? "none");
  return {
    ...common(series),
    type: "scatter",
    mode: "lines+markers",
    x: points.map(({ x }) => position(x, chart, page)),
    y: points.map(({ y }) => y),
    connectgaps: JOINED.includes(styling.fitting?.type),
    line: {
      color: series.colour,
      width: 1.75,
      dash: DASHES[series.shade % DASHES.length],
      shape: SHAPES[styling.interpolation] ?? "linear",
      simplify: false,
    },
    marker: { color: series.colour, size: markerSizes(points, styling.points?.visibility) },
    ...(filled
      ? { fill: stacked ? "tonexty" : "tozeroy", fillcolor: faint(series.colour, styling.areas?.fill_opacity ?? 0.3) }
      : {}),
    ...(stacked
      ? { stackgroup: `${series.axis}`, groupnorm: series.kind.endsWith("percentage") ? "percent" : "" }
      : {}),
  };
}

/** A slice without events has no row: by `fitting`, the line breaks, continues level, or drops to 0. */
function fitted(points, { time, widthMs }, fitting) {
  if (!time || !widthMs || JOINED.includes(fitting)) return points;
  return points.flatMap((point, index) => {
    const before = points[index - 1];
    if (!before || point.x - before.x < widthMs * 1.5) return [point];
    const y = fitting === "zero" ? 0 : fitting === "carry" ? before.y : null;
    const [after, until] = [new Date(before.x.getTime() + widthMs), new Date(point.x.getTime() - widthMs)];
    return after < until ? [{ x: after, y }, { x: until, y }, point] : [{ x: after, y }, point];
  });
}

/** An isolated point is drawn as a dot, as it has no line. */
function markerSizes(points, visibility) {
  return points.map(({ y }, index) => {
    const alone = y !== null && (points[index - 1]?.y ?? null) === null && (points[index + 1]?.y ?? null) === null;
    return visibility === "visible" || alone ? 5 : 0;
  });
}

function faint(colour, opacity) {
  const alpha = Math.round(Math.min(opacity, 1) * 255)
    .toString(16)
    .padStart(2, "0");
  return /^#[0-9a-f]{6}$/i.test(colour) ? `${colour}${alpha}` : colour;
}
