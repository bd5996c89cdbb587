// Lines, areas and bars, over time or over categories.

import * as clock from "../clock.js";
import { h } from "../dom.js";
import { drawLegend } from "../legend.js";
import * as plot from "../plot.js";
import { seriesOf } from "../series.js";
import { axesFor } from "../axes.js";
import { tracesOf } from "../traces.js";
import { drawTooltip } from "../tooltip.js";

export async function draw(body, { config }, { answers }, page, state) {
  const chart = seriesOf(config, answers, page);
  state.hidden ??= new Set();
  if (chart.series.length === 0) return null;

  const Plotly = await plot.plotly();
  state.canvas ??= h("div", { class: "canvas", "aria-hidden": "true" }); // described by the hidden text
  const { canvas } = state;
  const area = h("div", { class: "plot" }, canvas);
  const described = h("p", { class: "visually-hidden" }, description(config, chart));
  const legend = drawLegend(config.legend, chart.series, state.hidden, () => show());
  const side = config.legend?.position ?? "right";
  const frame = h(
    "div",
    { class: `chart legend-${side === "top" || side === "left" ? side : side === "bottom" ? "bottom" : "right"}` },
    area,
    legend,
  );
  body.replaceChildren(described, frame);

  async function show() {
    const visible = { ...chart, series: chart.series.filter(({ key }) => !state.hidden.has(key)) };
    const axes = axesFor(visible, config, page);
    await Plotly.react(
      canvas,
      tracesOf(visible, config, page),
      plot.layout({
        ...axes,
        barmode: chart.barmode,
        barnorm: chart.percentage ? "percent" : "",
        bargap: 0.15,
        hovermode: chart.horizontal ? "y" : "x",
        hoverdistance: 40,
        dragmode: chart.time && matchMedia("(pointer: fine)").matches ? "zoom" : false,
        selectdirection: "h",
      }),
      plot.CONFIG,
    );
  }

  await show();
  listen(area, canvas, chart, page);
  return {
    resize: () => Plotly.Plots.resize(canvas),
    stop: () => {
      page.cursor.leave(canvas);
      Plotly.purge(canvas);
    },
  };
}

function listen(area, canvas, chart, page) {
  const tooltip = drawTooltip(area, canvas, chart, page);
  for (const event of ["plotly_hover", "plotly_unhover", "plotly_relayout"]) canvas.removeAllListeners(event);
  canvas.on("plotly_hover", tooltip.show);
  canvas.on("plotly_unhover", tooltip.hide);
  canvas.on("plotly_relayout", (change) => {
    const [begin, end] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (chart.time && begin !== undefined) {
      page.zoomTo(clock.fromPlotTime(begin, page.utc), clock.fromPlotTime(end, page.utc));
    }
  });
}

function description({ title }, { series, time }) {
  const names = series.map(({ name }) => name).join(", ");
  return `${title || "Chart"}${time ? " over time" : ""}: ${names}. "Look inside" shows the figures as a table.`;
}
