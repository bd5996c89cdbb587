// Cells in two directions, the stronger the more.

import * as clock from "../clock.js";
import { nameOf, placeOf, requireColumns, typeOf } from "../answer.js";
import { timeAxis } from "../axes.js";
import { scale } from "../colours.js";
import { h } from "../dom.js";
import { formatter, isTime } from "../format.js";
import * as plot from "../plot.js";
import { place } from "../tooltip.js";

const MOST_ROWS_NAMED = 20;
const MOST_COLUMNS_NAMED = 12;
const MOST_SLICES = 2000;

export async function draw(body, { config }, { answers: [answer] }, page, state) {
  const heat = cellsOf(config, answer, page);
  const { metric } = config;
  const colours = scale(metric.color, heat.least, heat.most);
  const Plotly = await plot.plotly();
  state.canvas ??= h("div", { class: "canvas", "aria-hidden": "true" });
  const { canvas } = state;
  const box = h("div", { class: "tooltip", hidden: true });
  body.replaceChildren(
    h(
      "p",
      { class: "visually-hidden" },
      `${config.title || "Heatmap"}: figures from ${heat.write(heat.least)} to ${heat.write(heat.most)}.`,
    ),
    h("div", { class: "plot" }, canvas, box),
    config.legend?.visibility === "hidden" ? "" : legend(colours, heat),
  );
  await Plotly.react(
    canvas,
    [
      {
        type: "heatmap",
        z: heat.cells,
        // Rows and categories by their numbers: a name that looks like a number or a date stays a name.
        ...(heat.edges ? { x: heat.edges.map((moment) => clock.plotTime(moment, page.utc)) } : {}),
        colorscale: colours,
        zmin: heat.least,
        zmax: heat.most > heat.least ? heat.most : heat.least + 1,
        showscale: false,
        xgap: 1,
        ygap: 1,
        hoverinfo: "none",
        ...(config.styling?.cells?.labels?.visible
          ? { text: heat.cells.map((row) => row.map(labelled(heat.write))), texttemplate: "%{text}" }
          : {}),
      },
    ],
    plot.layout({
      xaxis: heat.edges
        ? timeAxis(config.axis?.x, page)
        : plot.axis(ticks(heat.across, nameOf, config.axis?.x, MOST_COLUMNS_NAMED)),
      yaxis: { ...plot.axis(ticks(heat.upward, heat.writeY, config.axis?.y, MOST_ROWS_NAMED)), autorange: "reversed" },
      dragmode: false,
    }),
    plot.CONFIG,
  );
  listen(canvas, box, heat, config, page);
  return { resize: () => Plotly.Plots.resize(canvas), stop: () => Plotly.purge(canvas) };
}

function cellsOf({ x, y, metric, axis }, answer, page) {
  requireColumns(answer, [x.column, y?.column, metric.column]);
  const [xAt, yAt, zAt] = [x.column, y?.column, metric.column].map((name) => placeOf(answer, name));
  const time = isTime(typeOf(answer, x.column));
  const across = time ? slices(answer.rows.map((row) => row[xAt])) : distinct(answer, xAt, axis?.x?.sort);
  const upward = y ? distinct(answer, yAt, axis?.y?.sort) : [metric.label ?? metric.column];
  const [columnOf, rowOf] = [across, upward].map(
    (values) => new Map(values.map((value, index) => [time && values === across ? value.getTime() : value, index])),
  );
  const cells = upward.map(() => across.map(() => null));
  for (const row of answer.rows) {
    cells[y ? rowOf.get(row[yAt]) : 0][columnOf.get(time ? Date.parse(row[xAt]) : row[xAt])] = row[zAt];
  }
  const figures = cells.flat().filter((figure) => figure !== null);
  return {
    cells,
    across,
    upward,
    edges: time
      ? [
          ...across,
          new Date(across.at(-1).getTime() + (across[1] ?? across[0]).getTime() - across[0].getTime() || 1000),
        ]
      : null,
    least: Math.min(...figures),
    most: Math.max(...figures),
    write: formatter(metric.format, typeOf(answer, metric.column), page),
    writeY: y ? formatter(y.format, typeOf(answer, y.column), page) : String,
  };
}

/** All time slices from the first to the last, including empty ones, which keep the others in position. */
function slices(times) {
  const moments = [...new Set(times.map((time) => Date.parse(time)))].sort((one, other) => one - other);
  const width = Math.min(...moments.slice(1).map((moment, index) => moment - moments[index]));
  const count = (moments.at(-1) - moments[0]) / width + 1;
  if (!Number.isInteger(count) || count > MOST_SLICES) return moments.map((moment) => new Date(moment));
  return Array.from({ length: count }, (_, index) => new Date(moments[0] + index * width));
}

/** The different values in a column, in the order of the answer unless the file names one. */
function distinct(answer, at, order) {
  const values = [...new Set(answer.rows.map((row) => row[at]))];
  if (!order) return values;
  values.sort((one, other) =>
    typeof one === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true }),
  );
  return order === "desc" ? values.reverse() : values;
}

/** Labels at not more than `most` of the values. */
function ticks(values, write, own, most) {
  const every = Math.ceil(values.length / most);
  const named = values.map((value, index) => [index, value]).filter(([index]) => index % every === 0);
  const text = own?.title?.visible === false ? null : own?.title?.text;
  return {
    tickvals: named.map(([index]) => index),
    ticktext: named.map(([, value]) => plot.plain(write(value))),
    showticklabels: own?.labels?.visible ?? true,
    showgrid: false,
    ...(text ? { title: { text: plot.plain(text), standoff: 6 } } : {}),
  };
}

const labelled = (write) => (figure) => (figure === null ? "" : plot.plain(write(figure)));

function listen(canvas, box, heat, { metric, y }, page) {
  for (const event of ["plotly_hover", "plotly_unhover"]) canvas.removeAllListeners(event);
  canvas.on(
    "plotly_hover",
    ({
      points: [
        {
          pointIndex: [row, column],
        },
      ],
      event,
    }) => {
      const figure = heat.cells[row][column];
      box.hidden = figure === null;
      if (figure === null) return;
      const where = heat.edges
        ? clock.formatTime(heat.across[column], "second", page.utc)
        : nameOf(heat.across[column]);
      const name = y ? `${y.label ?? y.column} ${heat.writeY(heat.upward[row])}` : (metric.label ?? metric.column);
      box.replaceChildren(
        h("p", { class: "tooltip-head" }, where),
        h(
          "table",
          {},
          h("tr", {}, h("td", { class: "series-name" }, name), h("td", { class: "right" }, heat.write(figure))),
        ),
      );
      place(box, canvas, event);
    },
  );
  canvas.on("plotly_unhover", () => (box.hidden = true));
}

function legend(colours, { least, most, write }) {
  const stops = colours.map(([part, each]) => `${each} ${part * 100}%`).join(", ");
  return h(
    "div",
    { class: "heat-legend", "aria-hidden": "true", style: { "--scale": `linear-gradient(to right, ${stops})` } },
    h("span", {}, write(least)),
    h("span", { class: "heat-scale" }),
    h("span", {}, write(most)),
  );
}
