// Asks the server of this page. It reads only, and the questions are the server's own: none is sent from here.

import { Queue } from "./queue.js";

// As many as the server asks Elasticsearch at a time; more would only wait there.
const figures = new Queue(4);

/** What the server said instead of an answer, in a sentence for a person. */
export class ApiError extends Error {}

export const status = (signal) => get("/api/status", {}, signal);

export const dashboards = (signal) => get("/api/dashboards", {}, signal);

export const dashboard = (id, signal) => get(`/api/dashboards/${encodeURIComponent(id)}`, {}, signal);

/** The answers to a panel's questions about what is `shown`: `{from, to, filters}`. */
export function panel(dashboardId, panelId, shown, signal) {
  const path = `/api/dashboards/${encodeURIComponent(dashboardId)}/panels/${encodeURIComponent(panelId)}`;
  return figures.run(() => get(path, asked(shown), signal), signal);
}

/** The values that a control offers. */
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
    // No JSON: something else than our own answers, such as a proxy.
  }
  return `the page's server answered ${response.status}`;
}
