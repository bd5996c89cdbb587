// Axes of an xy chart: ranges, and ticks in the format of their figures.

import * as clock from "./clock.js";
import { stepUnit } from "./format.js";
import { axis, plain } from "./plot.js";

const MOST_TICKS = 5;
const LONGEST_CATEGORY = 26;
const ROOM_ABOVE = 1.06;

export function axesFor(chart, config, page) {
  const own = config.axis ?? {};
  const along = chart.time ? timeAxis(own.x, page) : categoryAxis(own.x, chart);
  const across = {};
  for (const side of ["y", "y2"]) {
    const series = chart.series.filter((each) => each.axis === side);
    if (series.length > 0) across[side] = figureAxis(own[side], series, chart);
  }
  if (across.y2)
    Object.assign(across.y2, { side: "right", overlaying: across.y ? "y" : undefined, showgrid: !across.y });
  if (chart.horizontal) return { xaxis: across.y ?? across.y2, yaxis: { ...along, autorange: "reversed" } };
  return { xaxis: along, yaxis: across.y ?? {}, ...(across.y2 ? { yaxis2: across.y2 } : {}) };
}

/** Axis over the whole selected range, so that a time has the same position in all charts. */
export function timeAxis(own, page) {
  return axis({
    type: "date",
    fixedrange: false, // a time range is selected here with the mouse
    range: [page.shown.from, page.shown.to].map((moment) => clock.plotTime(moment, page.utc)),
    showgrid: own?.grid?.visible ?? false,
    showticklabels: own?.ticks?.visible ?? true,
    nticks: 8,
    tickformatstops: [
      { dtickrange: [null, 1000], value: "%H:%M:%S.%L" },
      { dtickrange: [1000, 60e3], value: "%H:%M:%S" },
      { dtickrange: [60e3, 3600e3], value: "%H:%M" },
      { dtickrange: [3600e3, 86400e3], value: "%H:%M\n%d %b" },
      { dtickrange: [86400e3, null], value: "%d %b" },
    ],
    ...title(own),
  });
}

function categoryAxis(own, { categories }) {
  return axis({
    type: "linear",
    range: [-0.5, categories.length - 0.5],
    tickvals: categories.map((_, index) => index),
    ticktext: categories.map((name) => plain(shortened(name))),
    showgrid: false,
    showticklabels: own?.ticks?.visible ?? true,
    ...title(own),
  });
}

function figureAxis(own, series, chart) {
  const { write } = series[0];
  const [least, most] = chart.percentage ? [0, 100] : bounds(series, chart);
  const shared = { showgrid: own?.grid?.visible ?? true, showticklabels: own?.ticks?.visible ?? true, ...title(own) };
  if (own?.scale === "log") return axis({ ...shared, type: "log", ...decades(least, most, write) });
  const [bottom, top] = domain(own?.domain, least, most, chart);
  const unit = stepUnit(series[0].format, Math.max(Math.abs(bottom), Math.abs(top)));
  const values = ticks(bottom / unit, top / unit).map((value) => value * unit);
  return axis({
    ...shared,
    range: [bottom, top],
    tickvals: values,
    ticktext: trimmed(values.map((value) => (chart.percentage ? `${value}%` : write(value)))).map(plain),
  });
}

/** Remove trailing zeros that all ticks share: "2 s" and "4 s", not "2.00 s". */
function trimmed(texts) {
  const withPoint = texts.filter((text) => /\.\d/.test(text));
  if (withPoint.length === 0 || !withPoint.every((text) => /\.\d*0(?!\d)/.test(text))) return texts;
  return trimmed(texts.map((text) => text.replace(/(\.\d*)0(?!\d)/, "$1").replace(/\.(?!\d)/, "")));
}

function title(own) {
  const text = own?.title?.visible === false ? null : own?.title?.text;
  return text ? { title: { text: plain(text), standoff: 6, font: { size: 11 } } } : {};
}

function domain(wanted, least, most, chart) {
  if (wanted?.type === "custom") return [wanted.min ?? 0, wanted.max ?? most * ROOM_ABOVE];
  const room = (most - least) * (ROOM_ABOVE - 1) || Math.abs(most) * 0.05 || 1;
  const fits = wanted?.type === "fit" && !chart.series.some(({ kind }) => kind.startsWith("bar"));
  if (fits) return [least - room, most + room];
  return [Math.min(least * ROOM_ABOVE, 0), most > 0 ? most * ROOM_ABOVE : least < 0 ? 0 : 1];
}

/** Minimum and maximum of the drawn values; sums for stacked series. */
function bounds(series, chart) {
  const sums = new Map();
  let [least, most] = [Infinity, -Infinity];
  for (const { kind, points } of series) {
    const stacked = /stacked/.test(kind);
    for (const { x, y } of points) {
      if (y === null) continue;
      const key = chart.categories ? x : x.getTime();
      const top = stacked ? (sums.get(key) ?? 0) + y : y;
      if (stacked) sums.set(key, top);
      least = Math.min(least, stacked ? 0 : top);
      most = Math.max(most, top);
    }
  }
  return least > most ? [0, 1] : [least, most];
}

/** Round numbers between `bottom` and `top`: steps of 1, 2 or 5 times a power of ten. */
export function ticks(bottom, top, most = MOST_TICKS) {
  const raw = (top - bottom) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= raw * 0.999);
  const found = [];
  // Multiples of the step: repeatedly adding 0.1 does not reach 1.
  for (let index = Math.ceil(bottom / step - 1e-9); index * step <= top * (1 + 1e-9); index += 1) {
    found.push(Number((index * step).toPrecision(12)));
  }
  return found;
}

function decades(least, most, write) {
  const first = Math.floor(Math.log10(Math.max(least, most / 1e6, Number.MIN_VALUE)));
  const last = Math.ceil(Math.log10(Math.max(most, Number.MIN_VALUE)));
  const values = Array.from({ length: Math.max(last - first, 0) + 1 }, (_, index) => 10 ** (first + index));
  return { range: [first, last], tickvals: values, ticktext: values.map((value) => plain(write(value))) };
}

function shortened(name) {
  return name.length > LONGEST_CATEGORY ? `${name.slice(0, LONGEST_CATEGORY - 1)}…` : name;
}
