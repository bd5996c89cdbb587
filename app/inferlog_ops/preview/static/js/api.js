// Client of the page's server. Read-only; queries are stored on the server and never sent from here.

import { Queue } from "./queue.js";

// The server's own limit of concurrent queries; more would only wait there.
const figures = new Queue(4);

/** An error of the server, as a sentence. */
export class ApiError extends Error {}

export const status = (signal) => get("/api/status", {}, signal);

export const dashboards = (signal) => get("/api/dashboards", {}, signal);

export const dashboard = (id, signal) => get(`/api/dashboards/${encodeURIComponent(id)}`, {}, signal);

/** The answers to a panel's queries for `shown`: `{from, to, filters}`. */
export function panel(dashboardId, panelId, shown, signal) {
  const path = `/api/dashboards/${encodeURIComponent(dashboardId)}/panels/${encodeURIComponent(panelId)}`;
  return figures.run(() => get(path, asked(shown), signal), signal);
}

/** The options of a control. */
export function values(dashboardId, controlId, shown, search, signal) {
  const path = `/api/dashboards/${encodeURIComponent(dashboardId)}/controls/${encodeURIComponent(controlId)}/values`;
  return get(path, { ...asked(shown), search }, signal);
}

function asked({ from, to, filters }) {
  return {
    from: from.toISOString(),
    to: to.toISOString(),
    filter: filters.map(({ field, value }) => `${field}:${value}`),
  };
}

async function get(path, parameters, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of [value].flat()) query.append(name, each);
  }
  let response;
  try {
    response = await fetch(query.size ? `${path}?${query}` : path, { signal, headers: { Accept: "application/json" } });
  } catch {
    if (signal?.aborted) throw signal.reason;
    throw new ApiError("the page's server does not answer; is inferlog preview still running?");
  }
  if (response.ok) return response.json();
  throw new ApiError(await reason(response));
}

async function reason(response) {
  try {
    const { detail } = await response.json();
    if (typeof detail === "string") return detail;
    if (Array.isArray(detail)) return detail.map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; ");
  } catch {
    // Not valid JSON: a response from something else, such as a proxy.
  }
  return `the page's server returned status ${response.status}`;
}
