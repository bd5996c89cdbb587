// Tooltip of a chart: time or category, and the figure of each series.

import * as clock from "./clock.js";
import { h } from "./dom.js";
import { swatch } from "./legend.js";

const BESIDE_PX = 14;

/** Draw into `area`, which holds plotly's `canvas`; returns the handlers of plotly's mouse events. */
export function drawTooltip(area, canvas, chart, page) {
  const box = h("div", { class: "tooltip", hidden: true });
  const cursor = h("div", { class: "cursor", hidden: true });
  area.replaceChildren(canvas, cursor, box);
  const byKey = new Map(chart.series.map((series) => [series.key, series]));

  if (chart.time) page.cursor.follow(canvas, (moment) => moveCursor(canvas, cursor, moment, page));

  return {
    show({ points, event }) {
      const found = points
        .map((point) => ({
          series: byKey.get(point.data.meta),
          at: point.pointNumber,
          y: chart.horizontal ? point.x : point.y,
          x: chart.horizontal ? point.y : point.x,
        }))
        .filter(({ series, y }) => series && y !== null && y !== undefined);
      if (found.length === 0) return;
      const where = heading(found[0], chart, page);
      found.sort((one, other) => other.y - one.y);
      box.replaceChildren(
        h("p", { class: "tooltip-head" }, where.text),
        h(
          "table",
          {},
          found.map(({ series, y }) =>
            h(
              "tr",
              {},
              h("td", {}, swatch(series)),
              h("td", { class: "series-name" }, series.name),
              h("td", { class: "right" }, series.write(y)),
            ),
          ),
        ),
      );
      box.hidden = false;
      place(box, area, event);
      if (where.moment) page.cursor.move(where.moment);
    },
    hide() {
      box.hidden = true;
      page.cursor.move(null);
    },
  };
}

function heading({ x }, chart, page) {
  if (chart.categories) return { text: chart.categories[Math.round(x)] ?? "" };
  const moment = clock.fromPlotTime(x, page.utc);
  return { text: clock.formatTime(moment, "second", page.utc), moment };
}

/** Put `box` beside the mouse, within `area`. */
export function place(box, area, event) {
  const edge = area.getBoundingClientRect();
  const [x, y] = [event.clientX - edge.left, event.clientY - edge.top];
  const left =
    x + BESIDE_PX + box.offsetWidth < edge.width ? x + BESIDE_PX : Math.max(0, x - BESIDE_PX - box.offsetWidth);
  box.style.setProperty("left", `${left}px`);
  box.style.setProperty("top", `${Math.max(0, Math.min(y - box.offsetHeight / 2, edge.height - box.offsetHeight))}px`);
}

/** Move the cursor to the time under the mouse in another chart. */
function moveCursor(canvas, cursor, moment, page) {
  const drawn = canvas._fullLayout?.xaxis; // plotly has no public API for the position of a time
  cursor.hidden = !moment || !drawn;
  if (cursor.hidden) return;
  const size = canvas._fullLayout._size;
  cursor.style.setProperty("left", `${drawn._offset + drawn.d2p(clock.plotTime(moment, page.utc))}px`);
  cursor.style.setProperty("top", `${size.t}px`);
  cursor.style.setProperty("height", `${size.h}px`);
}
