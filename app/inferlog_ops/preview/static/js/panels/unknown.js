// Placeholder for a panel type that this page does not support.

import { h } from "../dom.js";

/** It has no query. */
export const asks = false;

export function draw(body, panel) {
  const kind =
    panel.type === "vis" ? `chart of type ${panel.config.type ?? "library item"}` : `panel of type ${panel.type}`;
  const text = `This page does not support a ${kind}. Open the dashboard in Kibana.`;
  body.replaceChildren(h("p", { class: "panel-note" }, text));
}
