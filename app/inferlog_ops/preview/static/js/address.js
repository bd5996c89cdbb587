// State of the page in its URL fragment, so that a link reproduces the view.
//
//   #/view/inferlog-overview?from=now-1h&to=now&refresh=10&f=model_version:v1&utc
//
// The path is Kibana's, so that links between dashboards work in both.

import { isRelative, moment } from "./timerange.js";

const PATH = /^#\/view\/([a-z0-9_-]{1,250})$/;
const FIELD_AND_VALUE = /^([a-zA-Z0-9_.@-]{1,200}):([\s\S]{1,1000})$/;
const LONGEST_REFRESH_SECONDS = 86400;

/**
 * Parse a URL fragment. Missing or invalid parts are null and default to the dashboard's file.
 *
 * `refresh`: refresh interval in seconds; 0 = paused.
 */
export function read(hash) {
  const [path, query = ""] = split(hash);
  const parameters = new URLSearchParams(query);
  const refresh = Number(parameters.get("refresh") ?? NaN);
  return {
    dashboard: PATH.exec(path)?.[1] ?? null,
    ...range(parameters.get("from"), parameters.get("to")),
    refresh: Number.isInteger(refresh) && refresh >= 0 && refresh <= LONGEST_REFRESH_SECONDS ? refresh : null,
    filters: parameters.has("f") ? selections(parameters.getAll("f")) : null,
    utc: parameters.has("utc"),
  };
}

export function write({ dashboard, from, to, refresh, filters, utc }) {
  const parameters = new URLSearchParams();
  if (from && to) {
    parameters.set("from", from);
    parameters.set("to", to);
  }
  if (refresh !== null) parameters.set("refresh", refresh);
  // An empty value clears the selection of the file.
  for (const text of filters?.length === 0 ? [""] : (filters ?? [])) {
    parameters.append("f", text === "" ? "" : `${text.field}:${text.value}`);
  }
  if (utc) parameters.set("utc", "");
  const query = String(parameters)
    .replaceAll("%3A", ":")
    .replace(/=(?=&|$)/g, "");
  return `#/view/${dashboard}${query ? `?${query}` : ""}`;
}

function split(hash) {
  const at = hash.indexOf("?");
  return at === -1 ? [hash] : [hash.slice(0, at), hash.slice(at + 1)];
}

function range(from, to) {
  const known = (text) => text !== null && (isRelative(text) || moment(text, new Date()) !== null);
  return known(from) && known(to) ? { from, to } : { from: null, to: null };
}

function selections(texts) {
  return texts
    .map((text) => FIELD_AND_VALUE.exec(text))
    .filter(Boolean)
    .map(([, field, value]) => ({ field, value }));
}
