// Value formats of the dashboard files: number, percent, bytes, bits, duration, or a pattern.

import * as clock from "./clock.js";
import { formatCustom } from "./numeral.js";

/** Text of an unknown figure, never 0. */
export const UNKNOWN = "–";

const SECONDS = {
  ps: 1e-12,
  ns: 1e-9,
  us: 1e-6,
  ms: 1e-3,
  s: 1,
  min: 60,
  h: 3600,
  d: 86400,
  w: 604800,
  mo: 2629800,
  y: 31557600,
};
const SHORT = {
  ns: "ns",
  us: "µs",
  ms: "ms",
  s: "s",
  min: "min",
  h: "h",
  d: "d",
  w: "weeks",
  mo: "months",
  y: "years",
};

/**
 * A function that formats a value of the ES|QL type `type` by `format`, or by its type.
 *
 * `utc`: times are in UTC, otherwise in the local time zone.
 */
export function formatter(format, type, { utc = false } = {}) {
  const one = single(format, type, utc);
  return (value) => {
    if (value === null || value === undefined) return UNKNOWN;
    return Array.isArray(value) ? value.map(one).join(", ") : one(value);
  };
}

export const isNumeric = (type) =>
  [
    "double",
    "float",
    "half_float",
    "scaled_float",
    "long",
    "integer",
    "short",
    "byte",
    "unsigned_long",
    "counter_long",
    "counter_integer",
    "counter_double",
  ].includes(type);

export const isTime = (type) => type === "date" || type === "date_nanos" || type === "datetime";

function single(format, type, utc) {
  if (isTime(type)) return (value) => time(new Date(value), utc);
  if (!isNumeric(type)) return String;
  const write = numberWriter(format);
  return (value) => (Number.isFinite(value) ? write(value) + (format?.suffix ?? "") : String(value));
}

/** Time slices start at whole seconds and need no milliseconds. */
function time(date, utc) {
  return clock.formatTime(date, date.getMilliseconds() === 0 ? "second" : "millisecond", utc);
}

function numberWriter(format) {
  const decimals = format?.decimals ?? 2;
  switch (format?.type) {
    case "number":
      return format.compact ? (value) => compact(value, decimals) : fixed(decimals);
    case "percent":
      return (value) => `${format.compact ? compact(value * 100, decimals) : fixed(decimals)(value * 100)}%`;
    case "bytes":
      return (value) => scaled(value, 1024, ["B", "KB", "MB", "GB", "TB", "PB"], decimals);
    case "bits":
      return (value) => scaled(value, 1000, ["bit", "kbit", "Mbit", "Gbit", "Tbit", "Pbit"], decimals);
    case "duration":
      return (value) => duration(value * SECONDS[format.from], format.to);
    case "custom":
      return (value) => formatCustom(value, format.pattern) ?? upTo(3)(value);
    default:
      return upTo(3);
  }
}

/** Unit of the ticks of an axis up to `size`: 1024 B for KB, 60 s for minutes. */
export function stepUnit(format, size) {
  if (format?.type === "bytes") return 1024 ** Math.max(0, Math.floor(Math.log2(size) / 10));
  if (format?.type !== "duration") return 1;
  const seconds = size * SECONDS[format.from];
  const unit = ["d", "h", "min"].find((each) => seconds >= 2 * SECONDS[each]);
  return unit ? SECONDS[unit] / SECONDS[format.from] : 1;
}

const fixed = (decimals) => {
  const writer = new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return (value) => writer.format(value === 0 ? 0 : value); // no minus before a zero
};

const upTo = (decimals) => {
  const writer = new Intl.NumberFormat("en-US", { maximumFractionDigits: decimals });
  return (value) => writer.format(value === 0 ? 0 : value);
};

function compact(value, decimals) {
  return scaled(value, 1000, ["", "k", "M", "B", "T"], decimals, "");
}

function scaled(value, base, units, decimals, gap = " ") {
  let step = 0;
  let size = value;
  // 1000.0 k is written in the next unit.
  while (step < units.length - 1 && Number(Math.abs(size).toFixed(decimals)) >= base) {
    size /= base;
    step += 1;
  }
  return `${(step === 0 ? upTo : fixed)(decimals)(size)}${units[step] ? gap : ""}${units[step]}`;
}

/** A span of time: in the unit that `to` names, or ("auto") in the one that fits. */
function duration(seconds, to) {
  if (to in SECONDS) return `${upTo(2)(seconds / SECONDS[to])} ${SHORT[to]}`;
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 59.95) return belowAMinute(seconds, size);
  return inTwoUnits(seconds, size, to === "auto-approximate");
}

function belowAMinute(seconds, size) {
  const unit = ["s", "ms", "us"].find((each) => Number((size / SECONDS[each]).toPrecision(3)) >= 1) ?? "ns";
  const amount = seconds / SECONDS[unit];
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(Number(amount.toPrecision(3))) || 1)));
  return `${fixed(Math.min(digits, 2))(amount)} ${SHORT[unit]}`;
}

function inTwoUnits(seconds, size, approximate) {
  const sign = seconds < 0 ? "-" : "";
  const [large, small] = size < 3570 ? ["min", "s"] : size < 84600 ? ["h", "min"] : ["d", "h"];
  if (approximate) return `${sign}${Math.round(size / SECONDS[large])} ${SHORT[large]}`;
  const inSmall = Math.round(size / SECONDS[small]);
  const ratio = SECONDS[large] / SECONDS[small];
  const rest = inSmall % ratio;
  return `${sign}${upTo(0)(Math.floor(inSmall / ratio))} ${large}${rest ? ` ${rest} ${SHORT[small]}` : ""}`;
}
