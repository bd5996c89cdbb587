// Series of a chart, from its layers and answers, independent of plotly.

import * as clock from "./clock.js";
import { nameOf, placeOf, requireColumns, typeOf } from "./answer.js";
import { mapped } from "./colours.js";
import { formatter, isTime } from "./format.js";

/**
 * All series of an xy chart.
 *
 * A series: `{ key, name, colour, shade, kind, axis, points: [{ x, y }], write }`, x a Date or a category's name;
 * `shade` counts the series of one colour.
 * The chart: `{ series, time, widthMs, categories, horizontal, barmode, percentage }`.
 */
export function seriesOf({ layers }, answers, page) {
  const drawn = layers
    .filter(({ data_source }) => data_source)
    .map((layer, index) => ({ layer, answer: answers[index] }));
  const [{ layer: first, answer: firstAnswer }] = drawn;
  const time = first.x !== undefined && isTime(typeOf(firstAnswer, first.x.column));
  const severalFigures = drawn.length > 1 || drawn.some(({ layer }) => layer.y.length > 1);
  const series = drawn.flatMap(({ layer, answer }, index) =>
    ofLayer(layer, answer, index, { time, severalFigures, page }),
  );
  paintSeries(series, page);
  const types = layers.map(({ type }) => type);
  return {
    series,
    time,
    widthMs: time ? bucketWidth(series) : null,
    categories: time ? null : categoriesOf(series, firstAnswer, first, page),
    horizontal: types.some((type) => type.startsWith("bar_horizontal")),
    barmode: types.some((type) => type.startsWith("bar") && /stacked|percentage/.test(type)) ? "stack" : "group",
    percentage: types.some((type) => type.endsWith("percentage")),
  };
}

function ofLayer(layer, answer, layerIndex, { time, severalFigures, page }) {
  const by = layer.breakdown_by?.column;
  requireColumns(answer, [layer.x?.column, by, ...layer.y.map(({ column }) => column)]);
  const [xAt, byAt] = [placeOf(answer, layer.x?.column), placeOf(answer, by)];
  const groups = new Map();
  for (const row of answer.rows) {
    const group = by ? nameOf(row[byAt]) : null;
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(row);
  }
  return [...groups].flatMap(([group, rows]) =>
    layer.y.map((metric, metricIndex) => {
      const yAt = placeOf(answer, metric.column);
      const label = metric.label ?? metric.column;
      return {
        key: `${layerIndex}/${metricIndex}/${group ?? ""}`,
        name: group === null ? label : severalFigures ? `${group} · ${label}` : group,
        group: group ?? label,
        named:
          mapped(layer.breakdown_by?.color, group) ?? (metric.color?.type === "static" ? metric.color.color : null),
        kind: layer.type,
        axis: metric.axis === "y2" ? "y2" : "y",
        write: formatter(metric.format, typeOf(answer, metric.column), page),
        format: metric.format,
        points: rows.map((row) => ({
          x: time ? new Date(row[xAt]) : xAt === -1 ? label : nameOf(row[xAt]),
          y: row[yAt],
        })),
      };
    }),
  );
}

/** One colour a model version in all charts; a second figure of the same version is dashed or paler, not recoloured. */
function paintSeries(series, page) {
  const colourOf = page.seriesColours.assign(series.filter(({ named }) => !named).map(({ group }) => group));
  const figures = new Map();
  for (const each of series) {
    each.colour = each.named ?? colourOf(each.group);
    each.shade = figures.get(each.group) ?? 0;
    figures.set(each.group, each.shade + 1);
  }
}

/** How wide the slices of time are: the least distance of two of them. */
function bucketWidth(series) {
  const moments = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x.getTime())))].sort(
    (one, other) => one - other,
  );
  const gaps = moments.slice(1).map((moment, index) => moment - moments[index]);
  return gaps.length > 0 ? Math.min(...gaps) : null;
}

/** Categories in the order in which the query gives them. */
function categoriesOf(series) {
  return [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))];
}

/** Times as plotly wants them, categories as places on the axis: a name that looks like a number stays a name. */
export function position(x, { categories }, page) {
  return categories ? categories.indexOf(x) : clock.plotTime(x, page.utc);
}
