// plotly, loaded when the first chart needs it: it is larger than everything else here together.

import * as theme from "./theme.js";

let loading = null;

/** plotly. Its file is a classic script, which sets a global variable. */
export function plotly() {
  loading ??= import("/vendor/plotly.min.js").then(() => window.Plotly);
  return loading;
}

/** Text as plotly shows it as it is: plotly reads tags and entities in labels, hover texts and titles. */
export function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Layout of all charts. */
export function layout(extra = {}) {
  return {
    font: { family: theme.colour("font"), size: 11, color: theme.colour("text-soft") },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 8, r: 8, t: 8, b: 4 },
    showlegend: false,
    hoverlabel: {
      bgcolor: theme.colour("raised"),
      bordercolor: theme.colour("line"),
      font: { family: theme.colour("font"), size: 12, color: theme.colour("text") },
      align: "left",
      namelength: -1,
    },
    ...extra,
  };
}

/** An axis as all charts have it. */
export function axis(extra = {}) {
  return {
    automargin: true,
    fixedrange: true,
    gridcolor: theme.colour("grid"),
    linecolor: theme.colour("line"),
    zeroline: false,
    ticks: "",
    ...extra,
  };
}

export const CONFIG = { displayModeBar: false, responsive: false, doubleClick: false, showTips: false };
