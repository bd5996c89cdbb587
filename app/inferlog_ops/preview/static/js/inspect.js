// Inspect dialog of a panel: its rows and its query.

import { h } from "./dom.js";
import { columnOf, question } from "./panels/discover_session.js";
import { drawTable } from "./table.js";

export function inspect(panel, data, page) {
  const title = panel.config.title || panel.id;
  const content = h("div", { class: "inspect-content" });
  const dialog = h(
    "dialog",
    { class: "inspect", "aria-label": `Inside ${title}`, on: { close: () => dialog.remove() } },
    h(
      "header",
      { class: "inspect-head" },
      h("h2", {}, title),
      h("button", { type: "button", class: "quiet", on: { click: () => dialog.close() } }, "Close"),
    ),
    content,
  );
  for (const [index, query] of panel.queries.entries()) {
    const answer = data?.answers[index];
    const notes = (answer?.notes ?? []).map(({ text }) => h("p", { class: "panel-note", role: "note" }, text));
    content.append(question(query, panel.queries.length === 1), ...notes, rowsOf(answer, query, page));
  }
  document.body.append(dialog);
  dialog.showModal();
}

function rowsOf(answer, query, page) {
  if (!answer) return h("p", { class: "panel-note" }, "No answer.");
  if (answer.rows.length === 0) return h("p", { class: "panel-note" }, "No events in this range");
  const body = h("div", { class: "panel-rows" });
  drawTable(body, {
    caption: `Rows of ${query.name}`,
    columns: answer.columns.map(({ name }) => columnOf(name, answer, page)),
    rows: answer.rows,
  });
  return body;
}
