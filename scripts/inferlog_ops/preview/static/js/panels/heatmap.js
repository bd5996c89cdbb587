// Cells in two directions, the darker the more.

import * as clock from "../clock.js";
import { nameOf, placeOf, requireColumns, typeOf } from "../answer.js";
import { inkOn, scale } from "../colours.js";
import { h } from "../dom.js";
import { formatter, isTime } from "../format.js";
import * as plot from "../plot.js";

export async function draw(body, { config }, { answers: [answer] }, page, state) {
  const { x, y, metric } = config;
  requireColumns(answer, [x.column, y?.column, metric.column]);
  const [xAt, yAt, zAt] = [x.column, y?.column, metric.column].map((name) => placeOf(answer, name));
  const time = isTime(typeOf(answer, x.column));
  const write = formatter(metric.format, typeOf(answer, metric.column), page);
  const writeX = time ? (value) => clock.formatTime(new Date(value), "second", page.utc) : nameOf;
  const across = distinct(answer, xAt, config.axis?.x?.sort);
  const upward = y ? distinct(answer, yAt, config.axis?.y?.sort) : [null];
  const cells = upward.map(() => across.map(() => null));
  for (const row of answer.rows) {
    cells[upward.indexOf(y ? row[yAt] : null)][across.indexOf(row[xAt])] = row[zAt];
  }
  const figures = cells.flat().filter((figure) => figure !== null);
  const [least, most] = [Math.min(...figures), Math.max(...figures)];

  const Plotly = await plot.plotly();
  state.canvas ??= h("div", { class: "canvas", "aria-hidden": "true" });
  const { canvas } = state;
  const box = h("div", { class: "tooltip", hidden: true });
  body.replaceChildren(
    h("p", { class: "visually-hidden" }, `${config.title || "Heatmap"}: ${figures.length} figures from ${write(least)} to ${write(most)}.`),
    h("div", { class: "plot" }, canvas, box),
    config.legend?.visibility !== "hidden" && legend(metric.color, least, most, write),
  );
  const colours = scale(metric.color, least, most);
  await Plotly.react(canvas, [{
    type: "heatmap",
    // Rows and columns by their numbers: a name that looks like a number or a date stays a name.
    z: cells,
    colorscale: colours,
    zmin: least,
    zmax: most > least ? most : least + 1,
    showscale: false,
    xgap: 1,
    ygap: 1,
    hoverinfo: "none",
    ...(config.styling?.cells?.labels?.visible ? { text: cells.map((row) => row.map((figure) => (figure === null ? "" : plot.plain(write(figure))))), texttemplate: "%{text}" } : {}),
  }], plot.layout({
    xaxis: plot.axis({ ...ticks(across, writeX, config.axis?.x, 8), showgrid: false }),
    yaxis: plot.axis({ ...ticks(upward, nameOf, config.axis?.y, 20), showgrid: false, autorange: "reversed" }),
    dragmode: false,
  }), plot.CONFIG);
  canvas.removeAllListeners("plotly_hover");
  canvas.removeAllListeners("plotly_unhover");
  canvas.on("plotly_hover", ({ points: [point] }) => {
    const figure = cells[point.y][point.x];
    if (figure === null) return;
    box.replaceChildren(
      h("p", { class: "tooltip-head" }, writeX(across[point.x])),
      h("table", {}, h("tr", {}, h("td", { class: "series-name" }, y ? nameOf(upward[point.y]) : (metric.label ?? metric.column)), h("td", { class: "right" }, write(figure)))),
    );
    box.hidden = false;
  });
  canvas.on("plotly_unhover", () => (box.hidden = true));
  return { resize: () => Plotly.Plots.resize(canvas), stop: () => Plotly.purge(canvas) };
}

/** The different values in a column, in the order of the answer unless the file names one. */
function distinct(answer, at, order) {
  const values = [...new Set(answer.rows.map((row) => row[at]))];
  if (!order) return values;
  const sorted = values.sort((one, other) => (typeof one === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true })));
  return order === "desc" ? sorted.reverse() : sorted;
}

/** Labels at not more than `most` of the values. */
function ticks(values, write, own, most) {
  const every = Math.ceil(values.length / most);
  const labelled = values.map((value, index) => [index, value]).filter(([index]) => index % every === 0);
  const text = own?.title?.visible === false ? null : own?.title?.text;
  return {
    tickvals: labelled.map(([index]) => index),
    ticktext: labelled.map(([, value]) => plot.plain(write(value))),
    showticklabels: own?.labels?.visible ?? true,
    ...(text ? { title: { text: plot.plain(text), standoff: 6 } } : {}),
  };
}

function legend(colour, least, most, write) {
  const stops = scale(colour, least, most).map(([part, each]) => `${each} ${part * 100}%`).join(", ");
  const [, first] = scale(colour, least, most)[0];
  return h("div", { class: "heat-legend", style: { "--scale": `linear-gradient(to right, ${stops})`, "--ink": inkOn(first) } },
    h("span", {}, write(least)), h("span", { class: "heat-scale" }), h("span", {}, write(most)));
}
