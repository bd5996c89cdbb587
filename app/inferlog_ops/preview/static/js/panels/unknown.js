// A panel of a kind that this page does not draw. Kibana does.

import { h } from "../dom.js";

/** It has no question. */
export const asks = false;

export function draw(body, panel) {
  const kind =
    panel.type === "vis" ? `chart of type ${panel.config.type ?? "library item"}` : `panel of type ${panel.type}`;
  body.replaceChildren(h("p", { class: "panel-note" }, `This page does not draw a ${kind}. In Kibana it is drawn.`));
}
