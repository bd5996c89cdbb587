// A table of rows: sorted by a click on a column's head, a page at a time.

import { OTHER_VERSIONS } from "./colours.js";
import { h, icon } from "./dom.js";

const ARROW = { ascending: "M8 3l4 5H4z", descending: "M8 13l4-5H4z", none: "M8 2l3 4H5zM8 14l3-4H5z" };

/**
 * Draw `rows` into `body`.
 *
 * A column: `{ name, label, value(row), write(value), align, width, paint(value, cell), onClick(value), summary }`.
 * `sort`: `{ column: index, descending }` at the beginning, or null for the order of the rows.
 * `state`: kept by the caller between two drawings, so that a refresh changes neither sorting nor page.
 */
export function drawTable(body, { columns, rows, caption, pageSize = 100, numbered = false, sort = null, state = {} }) {
  state.sort ??= sort;
  state.page ??= 0;
  const scroller = h("div", { class: "table-scroller", tabindex: "0", role: "region", "aria-label": caption });
  const pager = h("nav", { class: "pager", "aria-label": `Pages of ${caption}` });
  const top = body.querySelector(".table-scroller")?.scrollTop ?? 0;

  const show = () => {
    const sorted = state.sort ? sortedBy(rows, columns[state.sort.column], state.sort.descending) : rows;
    const pages = Math.max(1, Math.ceil(rows.length / pageSize));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * pageSize;
    scroller.replaceChildren(
      h(
        "table",
        { class: "rows" },
        h("caption", { class: "visually-hidden" }, caption),
        h("thead", {}, h("tr", {}, numbered && h("th", { class: "number", scope: "col" }, "#"), columns.map(head))),
        h(
          "tbody",
          {},
          sorted.slice(first, first + pageSize).map((row, index) => line(columns, row, numbered && first + index + 1)),
        ),
        summaryOf(columns, rows, numbered),
      ),
    );
    pager.hidden = pages === 1;
    pager.replaceChildren(
      step("Previous page", "‹", state.page > 0, () => turn(-1)),
      h(
        "span",
        {},
        `${first + 1}–${Math.min(first + pageSize, rows.length)} of ${rows.length.toLocaleString("en-US")}`,
      ),
      step("Next page", "›", state.page < pages - 1, () => turn(1)),
    );
  };

  const turn = (by) => {
    state.page += by;
    show();
    scroller.scrollTop = 0;
    pager.querySelector(`button:${by < 0 ? "first" : "last"}-of-type`).focus();
  };

  const sortBy = (index) => {
    const before = state.sort?.column === index ? state.sort : null;
    state.sort = { column: index, descending: before ? !before.descending : columns[index].align === "right" };
    state.page = 0;
    show();
    scroller.querySelectorAll("thead button")[index].focus();
  };

  function head(column, index) {
    const direction = state.sort?.column !== index ? "none" : state.sort.descending ? "descending" : "ascending";
    return h(
      "th",
      {
        scope: "col",
        "aria-sort": direction,
        class: column.align ?? null,
        style: { width: column.width ? `${column.width}px` : null },
      },
      h(
        "button",
        { type: "button", class: "plain", on: { click: () => sortBy(index) } },
        h("span", {}, column.label),
        icon(ARROW[direction]),
      ),
    );
  }

  show();
  body.replaceChildren(scroller, pager);
  scroller.scrollTop = top;
}

function line(columns, row, number) {
  return h(
    "tr",
    {},
    number && h("td", { class: "number" }, number),
    columns.map((column) => cell(column, row)),
  );
}

function cell(column, row) {
  const value = column.value(row);
  const written = column.write(value);
  const content =
    column.onClick && value !== null && value !== OTHER_VERSIONS
      ? h(
          "button",
          {
            type: "button",
            class: "plain filtering",
            title: column.clickTitle?.(written) ?? null,
            on: { click: () => column.onClick(value) },
          },
          written,
        )
      : written;
  const made = h("td", { class: column.align ?? null, title: written.length > 40 ? written : null }, content);
  column.paint?.(value, made);
  return made;
}

function summaryOf(columns, rows, numbered) {
  if (!columns.some((column) => column.summary)) return null;
  const cells = columns.map((column) =>
    h("td", { class: column.align ?? null }, column.summary ? column.summary(rows.map(column.value)) : ""),
  );
  return h("tfoot", {}, h("tr", {}, numbered && h("td"), cells));
}

function step(label, sign, possible, onClick) {
  return h(
    "button",
    { type: "button", class: "quiet", "aria-label": label, disabled: !possible, on: { click: onClick } },
    sign,
  );
}

/** Unknown values come last, whichever way. */
function sortedBy(rows, column, descending) {
  const sign = descending ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [left, right] = [column.value(one), column.value(other)];
    if (left === null || right === null) return (left === null) - (right === null);
    if (typeof left === "number" && typeof right === "number") return sign * (left - right);
    return sign * String(left).localeCompare(String(right), "en", { numeric: true });
  });
}
