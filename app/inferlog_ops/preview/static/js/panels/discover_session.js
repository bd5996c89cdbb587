// Rows of a query, below the query itself.

import { placeOf, typeOf } from "../answer.js";
import { h } from "../dom.js";
import { formatter, isNumeric } from "../format.js";
import { drawTable } from "../table.js";

const ROWS = 50; // at a time, where the file names no number

export function draw(body, panel, { answers: [answer] }, page, state) {
  const [tab] = panel.config.tabs;
  const named = tab.column_order?.filter((name) => placeOf(answer, name) !== -1) ?? [];
  const names = named.length > 0 ? named : answer.columns.map(({ name }) => name);
  const first = tab.sort?.[0];
  const rows = h("div", { class: "panel-rows" });
  drawTable(rows, {
    caption: panel.config.title || "rows",
    columns: names.map((name) => columnOf(name, answer, page, tab.column_settings?.[name])),
    rows: answer.rows,
    pageSize: tab.rows_per_page ?? ROWS,
    sort:
      first && names.includes(first.name)
        ? { column: names.indexOf(first.name), descending: first.direction === "desc" }
        : null,
    state,
  });
  body.replaceChildren(question(panel.queries[0], body.querySelector("details")?.open), rows);
}

/** The query, to read and copy. */
export function question(query, open = false) {
  return h(
    "details",
    { class: "question", open },
    h("summary", {}, query.question),
    h("p", {}, "In a terminal: ", h("code", {}, `inferlog query ${query.name}`)),
    h("pre", { tabindex: "0", "aria-label": "ES|QL" }, query.text),
  );
}

export function columnOf(name, answer, page, settings = {}) {
  const place = placeOf(answer, name);
  const type = typeOf(answer, name);
  return {
    name,
    label: name,
    value: (row) => row[place],
    write: formatter(undefined, type, page),
    align: isNumeric(type) ? "right" : "left",
    width: settings.width,
  };
}
