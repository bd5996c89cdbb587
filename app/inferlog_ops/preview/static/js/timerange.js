// Ranges of time as dashboards and people name them: "now-15m", "now/d", or a moment in ISO 8601.

const UNIT_MS = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };
const PART = /([+-])(\d{1,6})([smhdwMy])|\/([smhdwMy])/g;
const RELATIVE = /^now((?:[+-]\d{1,6}[smhdwMy]|\/[smhdwMy])*)$/;

export const QUICK_RANGES = [
  ["now-5m", "now", "Last 5 minutes"],
  ["now-15m", "now", "Last 15 minutes"],
  ["now-30m", "now", "Last 30 minutes"],
  ["now-1h", "now", "Last hour"],
  ["now-3h", "now", "Last 3 hours"],
  ["now-12h", "now", "Last 12 hours"],
  ["now-24h", "now", "Last 24 hours"],
  ["now/d", "now", "Today so far"],
  ["now-1d/d", "now/d", "Yesterday"],
  ["now-7d", "now", "Last 7 days"],
  ["now-30d", "now", "Last 30 days"],
  ["now-90d", "now", "Last 90 days"],
].map(([from, to, name]) => ({ from, to, label: name }));

/** The moment that `text` names at the time `now`; null if it names none. Days begin where the person is, or in UTC. */
export function moment(text, now, { utc = false } = {}) {
  const relative = RELATIVE.exec(text);
  if (!relative) return isoMoment(text, utc);
  const result = new Date(now);
  for (const [, sign, amount, unit, floor] of relative[1].matchAll(PART)) {
    if (floor) floorTo(result, floor, utc);
    else move(result, (sign === "-" ? -1 : 1) * Number(amount), unit);
  }
  return Number.isNaN(result.getTime()) ? null : result;
}

/** Begin and end of a range at the time `now`; null if it is none or empty. */
export function resolve(from, to, now, options = {}) {
  const begin = moment(from, now, options);
  const end = moment(to, now, options);
  return begin && end && begin < end ? { from: begin, to: end } : null;
}

/** How a person calls the range. */
export function label(from, to, formatTime) {
  const quick = QUICK_RANGES.find((range) => range.from === from && range.to === to);
  if (quick) return quick.label;
  const ago = /^now-(\d+)([smhdwMy])$/.exec(from);
  if (ago && to === "now") return `Last ${ago[1]} ${unitName(ago[2], Number(ago[1]))}`;
  const [begin, end] = [from, to].map((text) => (text.startsWith("now") ? text : formatTime(new Date(text), "second")));
  const [day, time] = end.split(", ");
  return `${begin} → ${time && begin.startsWith(`${day}, `) ? time : end}`;
}

export const isRelative = (text) => RELATIVE.test(text);

function isoMoment(text, utc) {
  if (!/^\d{4}-\d{2}-\d{2}/.test(text)) return null;
  // JavaScript takes a bare date for UTC and a bare time for local; here both are as the page shows times.
  const bare = !/(?:Z|[+-]\d{2}:?\d{2})$/.test(text);
  const full = text.length === 10 ? `${text}T00:00:00` : text.replace(" ", "T");
  const date = new Date(bare && utc ? `${full}Z` : full);
  return Number.isNaN(date.getTime()) ? null : date;
}

function move(date, amount, unit) {
  if (unit === "M") date.setUTCMonth(date.getUTCMonth() + amount);
  else if (unit === "y") date.setUTCFullYear(date.getUTCFullYear() + amount);
  else date.setTime(date.getTime() + amount * UNIT_MS[unit]);
}

function floorTo(date, unit, utc) {
  const order = ["s", "m", "h", "d", "M", "y"];
  const coarse = unit === "w" ? order.indexOf("d") : order.indexOf(unit);
  const set = (name, ...values) => date[`set${utc ? "UTC" : ""}${name}`](...values);
  const get = (name) => date[`get${utc ? "UTC" : ""}${name}`]();
  set("Milliseconds", 0);
  if (coarse >= 1) set("Seconds", 0);
  if (coarse >= 2) set("Minutes", 0);
  if (coarse >= 3) set("Hours", 0);
  if (unit === "w") set("Date", get("Date") - ((get("Day") + 6) % 7)); // weeks begin on Monday
  if (coarse >= 4) set("Date", 1);
  if (coarse >= 5) set("Month", 0);
}

function unitName(unit, amount) {
  const name = { s: "second", m: "minute", h: "hour", d: "day", w: "week", M: "month", y: "year" }[unit];
  return amount === 1 ? name : `${name}s`;
}
