// A table: the rows of the breakdown first, then their figures.

import { placeOf, requireColumns, typeOf } from "../answer.js";
import { byValue, inkOn, mapped } from "../colours.js";
import { formatter, isNumeric } from "../format.js";
import { drawTable } from "../table.js";

const ALL_ROWS = 100; // at a time, where the file names no number

export function draw(body, panel, { answers: [answer] }, page, state) {
  const { config } = panel;
  const split = [...(config.rows ?? []), ...(config.split_metrics_by ?? [])].map((column) => ({
    ...column,
    kind: "row",
  }));
  const metrics = (config.metrics ?? []).map((column) => ({ ...column, kind: "metric" }));
  const wanted = [...split, ...metrics];
  requireColumns(
    answer,
    wanted.map(({ column }) => column),
  );
  const shown = wanted.filter(({ visible }) => visible !== false);
  const order = config.styling?.sort_by;
  const sorted =
    order && shown.findIndex((each) => each === (order.column_type === "row" ? split : metrics)[order.index]);

  drawTable(body, {
    caption: config.title || "rows",
    columns: shown.map((column) => columnOf(column, answer, config, page)),
    rows: answer.rows,
    pageSize: config.styling?.paging ?? ALL_ROWS,
    numbered: config.styling?.row_numbers?.visible,
    sort: sorted >= 0 && order ? { column: sorted, descending: order.direction === "desc" } : null,
    state,
  });
  body.dataset.density = config.styling?.density?.mode ?? "default";
}

function columnOf(column, answer, config, page) {
  const place = placeOf(answer, column.column);
  const type = typeOf(answer, column.column);
  const values = answer.rows.map((row) => row[place]).filter((value) => typeof value === "number");
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const write = formatter(column.format, type, page);
  const colourOf = (value) => mapped(column.color, value) ?? byValue(column.color, value, least, most);
  return {
    name: column.column,
    label: column.label ?? column.column,
    value: (row) => row[place],
    write,
    align: column.alignment ?? (isNumeric(type) ? "right" : "left"),
    width: column.width,
    paint: (value, cell) => paint(cell, colourOf(value), column.apply_color_to),
    summary: column.summary && ((all) => summary(column.summary, all, write)),
    ...page.onValue(column, config),
  };
}

function paint(cell, colour, where) {
  if (!colour) return;
  if (where === "value") cell.style.setProperty("color", colour);
  else if (where === "background" || where === "badge") {
    cell.classList.add(where === "badge" ? "badge" : "painted");
    cell.style.setProperty("--tile", colour);
    cell.style.setProperty("--ink", inkOn(colour));
  }
}

function summary({ type, label }, all, write) {
  const known = all.filter((value) => typeof value === "number");
  const sum = known.reduce((total, value) => total + value, 0);
  const value = {
    sum: () => sum,
    avg: () => (known.length ? sum / known.length : null),
    count: () => known.length,
    min: () => (known.length ? Math.min(...known) : null),
    max: () => (known.length ? Math.max(...known) : null),
  }[type]?.();
  const written = type === "count" ? String(value) : write(value ?? null);
  return `${label ?? type}: ${written}`;
}
