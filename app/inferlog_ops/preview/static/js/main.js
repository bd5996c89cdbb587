// Entry point of the page. The URL fragment determines the view.

import * as address from "./address.js";
import * as api from "./api.js";
import { controlRow } from "./controls.js";
import { Dashboard } from "./dashboard.js";
import { announce, h } from "./dom.js";
import { notice, statusNotice } from "./notice.js";
import { Page } from "./page.js";
import * as theme from "./theme.js";
import * as timerange from "./timerange.js";
import { topBar } from "./topbar.js";

const DEFAULT_RANGE = { from: "now-15m", to: "now" };

const main = document.getElementById("main");
const place = {
  notice: h("div", {}),
  heading: h("div", { class: "heading" }),
  controls: h("div", {}),
  dashboard: h("div", {}),
};
let known = []; // all dashboards: { id, title, description }
let current = null; // the one that is shown: { described, dashboard, controls, page }
let opening = null; // the AbortController of the dashboard that is being fetched
let looking = null; // that of the look under way

const bar = topBar({
  onPick: (from, to) => go({ from, to }),
  onZone: (utc) => go({ utc }),
  onRefresh: (refresh) => go({ refresh }),
  onLook: () => look(),
  isBusy: () => looking !== null || (current?.dashboard.busy ?? false),
  onTheme: () => theme.toggle(),
});

/** State from the address, with defaults from the dashboard's file. */
function state() {
  const said = address.read(location.hash);
  const file = current?.described ?? {};
  const range = [said, file.time_range, DEFAULT_RANGE].find((each) => each?.from && resolved(each, said));
  const paused = file.refresh_interval?.pause ?? true;
  return {
    ...said,
    from: range.from,
    to: range.to,
    refresh: said.refresh ?? (paused ? 0 : Math.round((file.refresh_interval?.value ?? 0) / 1000)),
    filters: filtersOf(said.filters, file.controls ?? []),
  };
}

/** Begin and end of a range now; null if it is none. */
const resolved = ({ from, to }, { utc }) => timerange.resolve(from, to, new Date(), { utc });

/** Filters on fields of this dashboard's controls; by default, the values selected in the file. */
function filtersOf(said, controls) {
  if (said === null) return controls.flatMap(({ field, selected }) => selected.map((value) => ({ field, value })));
  const fields = new Set(controls.map(({ field }) => field));
  return said.filter(({ field }) => fields.has(field));
}

/** Change the address, which updates the view. */
function go(change) {
  const said = address.read(location.hash);
  location.hash = address.write({ ...said, dashboard: current?.described.id ?? said.dashboard, ...change });
}

async function follow() {
  const { dashboard: wanted } = address.read(location.hash);
  const id = wanted ?? known[0]?.id;
  if (!id) return;
  if (current?.described.id !== id) await open(id);
  if (current?.described.id !== id) return;
  const now = state();
  current.page.utc = now.utc;
  bar.update(now, current.described, known, linkTo);
  look();
}

async function open(id) {
  current?.dashboard.stop();
  current = null;
  opening?.abort();
  const asking = new AbortController();
  opening = asking;
  try {
    const described = await api.dashboard(id, asking.signal);
    const page = new Page(described, known, { go, state, linkTo });
    const dashboard = new Dashboard(described, page);
    const controls = controlRow(described.controls, page);
    current = { described, page, dashboard, controls };
    document.title = `${described.title} · inferlog`;
    place.heading.replaceChildren(h("h1", {}, described.title), h("p", {}, described.description ?? ""));
    place.controls.replaceChildren(...(controls ? [controls.element] : []));
    place.dashboard.replaceChildren(dashboard.element);
    announce(`${described.title} is shown`);
    scrollTo(0, 0);
  } catch (error) {
    if (asking.signal.aborted) return; // another one is wanted by now
    bar.update(state(), { id }, known, linkTo);
    place.heading.replaceChildren();
    place.controls.replaceChildren();
    place.dashboard.replaceChildren(notice(error.message, { action: { label: "Try again", run: follow } }));
  }
}

/** Load all visible figures for the same range. */
async function look() {
  if (!current) return;
  looking?.abort();
  const asking = new AbortController();
  looking = asking;
  main.setAttribute("aria-busy", "true");
  const now = state();
  const shown = { ...resolved(now, now), filters: now.filters };
  current.page.shown = shown;
  current.controls?.update(now.filters);
  bar.shown(now, shown);
  try {
    const status = await api.status(asking.signal);
    place.notice.replaceChildren(...statusNotice(status, shown, { go, utc: now.utc }));
    if (!status.problem) current.dashboard.show(shown);
  } catch (error) {
    if (asking.signal.aborted) return;
    place.notice.replaceChildren(notice(error.message));
  }
  looking = null;
  main.setAttribute("aria-busy", "false");
  // Marker for tests: that the figures of this address have been requested.
  main.dataset.address = location.hash;
  bar.looked();
}

/**
 * The address of another dashboard, by default with range and filters of this one; `adding`: further filters.
 * Filters without a control on the other dashboard have no effect.
 */
function linkTo(id, { filters = true, range = true, adding = [] } = {}) {
  const said = address.read(location.hash);
  const kept = (filters ? (said.filters ?? []) : []).filter(
    ({ field }) => !adding.some((each) => each.field === field),
  );
  const all = [...kept, ...adding];
  return address.write({
    ...said,
    dashboard: id,
    ...(range ? {} : { from: null, to: null }),
    filters: all.length > 0 ? all : null,
  });
}

async function start() {
  theme.restore();
  theme.onChange(() => current?.dashboard.redraw());
  document.getElementById("top").append(bar.element);
  main.append(place.notice, place.heading, place.controls, place.dashboard);
  addEventListener("hashchange", follow);
  document.querySelector(".skip-link").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment is the state of the page
    main.focus();
  });
  try {
    known = await api.dashboards();
  } catch (error) {
    place.notice.replaceChildren(
      notice(error.message, { action: { label: "Try again", run: () => location.reload() } }),
    );
    return;
  }
  await follow();
}

start();
