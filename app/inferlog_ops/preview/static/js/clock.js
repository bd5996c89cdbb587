// Times as displayed: in the local time zone, or in UTC.

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (number) => String(number).padStart(2, "0");

/** The parts of a time in the displayed zone. */
function parts(date, utc) {
  const get = (name) => date[`get${utc ? "UTC" : ""}${name}`]();
  return {
    year: get("FullYear"),
    month: MONTHS[get("Month")],
    day: two(get("Date")),
    time: `${two(get("Hours"))}:${two(get("Minutes"))}:${two(get("Seconds"))}`,
    fraction: String(get("Milliseconds")).padStart(3, "0"),
  };
}

/** A moment to the second or to the millisecond. */
export function formatTime(date, precision, utc) {
  const { year, month, day, time, fraction } = parts(date, utc);
  return `${day} ${month} ${year}, ${time}${precision === "millisecond" ? `.${fraction}` : ""}`;
}

/** Name of the zone, as in "UTC+01:00". */
export function zone(date, utc) {
  if (utc) return "UTC";
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/**
 * A time for plotly, which has no time zones: the digits for the axis.
 *
 * When clocks are set back, the repeated hour overlaps itself; UTC has no such hour.
 */
export function plotTime(date, utc) {
  const shifted = new Date(date.getTime() - (utc ? 0 : date.getTimezoneOffset() * 60e3));
  return shifted.toISOString().slice(0, -1);
}

/** The time of plotly's digits. */
export function fromPlotTime(digits, utc) {
  const iso = String(digits).replace(" ", "T");
  const full = iso.length === 10 ? `${iso}T00:00` : iso;
  return new Date(utc ? `${full}Z` : full);
}
