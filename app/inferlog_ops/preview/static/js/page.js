// Interface of the page for panels and controls.

import { SeriesColours } from "./colours.js";
import { Cursor } from "./cursor.js";
import { h } from "./dom.js";

export class Page {
  seriesColours = new SeriesColours();
  cursor = new Cursor();
  /** `{ from, to, filters }`: current view. */
  shown = null;
  /** Whether times are shown in UTC. */
  utc = false;
  #described;
  #known;
  #actions;

  /** `known`: all dashboards; `actions`: `{ go, state, linkTo }` of the page. */
  constructor(described, known, actions) {
    this.#described = described;
    this.#known = known;
    this.#actions = actions;
  }

  get dashboardId() {
    return this.#described.id;
  }

  get hideTitles() {
    return this.#described.options?.hide_panel_titles ?? false;
  }

  /** Whether a control of this dashboard filters by `field`. */
  canFilter(field) {
    return this.#described.controls.some((control) => control.field === field);
  }

  /** Show events with this value only. */
  filterBy(field, value) {
    this.select(field, [value]);
  }

  /** Show events with one of these values of the field only; of none: with any. */
  select(field, values) {
    const others = this.#actions.state().filters.filter((filter) => filter.field !== field);
    this.#actions.go({ filters: [...others, ...values.map((value) => ({ field, value: String(value) }))] });
  }

  clearFilters() {
    this.#actions.go({ filters: [] });
  }

  zoomTo(from, to) {
    this.#actions.go({ from: from.toISOString(), to: to.toISOString() });
  }

  /** A link to another dashboard. */
  linkTo(dashboardId, children, keeping = {}) {
    const link = h("a", { href: this.#actions.linkTo(dashboardId, keeping) }, children);
    // Range and filters may change before it is followed.
    for (const event of ["focus", "pointerenter", "click"]) {
      link.addEventListener(event, () => link.setAttribute("href", this.#actions.linkTo(dashboardId, keeping)));
    }
    return link;
  }

  /** The links in a panel's head: the drilldowns of its file that lead to a dashboard. */
  drilldowns(config) {
    return this.#toDashboards(config).map((drilldown) =>
      this.linkTo(drilldown.dashboard_id, drilldown.label, kept(drilldown)),
    );
  }

  #toDashboards({ drilldowns = [] }) {
    return drilldowns.filter(
      ({ type, dashboard_id: id }) => type === "dashboard_drilldown" && this.#known.some((each) => each.id === id),
    );
  }

  /** Action of a click on a table's value: filter here, or on the dashboard of the panel's drilldown. */
  onValue(column, config) {
    if (!column.click_filter) return {};
    const field = column.column;
    if (this.canFilter(field)) {
      return { onClick: (value) => this.filterBy(field, value), clickTitle: (value) => `Show ${value} only` };
    }
    const [drilldown] = this.#toDashboards(config);
    if (!drilldown) return {};
    const adding = (value) => ({ ...kept(drilldown), adding: [{ field, value: String(value) }] });
    return {
      onClick: (value) => (location.hash = this.#actions.linkTo(drilldown.dashboard_id, adding(value))),
      clickTitle: (value) => `${drilldown.label}: ${value}`,
    };
  }
}

/** Parts of the state that a drilldown keeps. */
const kept = ({ use_filters: filters = true, use_time_range: range = true }) => ({ filters, range });
