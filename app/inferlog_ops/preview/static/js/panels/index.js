// Which module draws which kind of panel.

import * as dataTable from "./data_table.js";
import * as discoverSession from "./discover_session.js";
import * as gauge from "./gauge.js";
import * as heatmap from "./heatmap.js";
import * as markdown from "./markdown.js";
import * as metric from "./metric.js";
import * as unknown from "./unknown.js";
import * as xy from "./xy.js";

const CHARTS = { data_table: dataTable, gauge, heatmap, metric, xy };
const PANELS = { discover_session: discoverSession, markdown };

export function drawerOf({ type, config }) {
  const known = type === "vis" ? CHARTS[config.type] : PANELS[type];
  return known ?? unknown;
}
