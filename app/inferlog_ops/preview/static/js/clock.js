// Times as the page shows them: in the person's own zone, or in UTC.

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (number) => String(number).padStart(2, "0");

/** The parts of a moment in the zone that is shown. */
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

/** What zone that is, as in "UTC+01:00". */
export function zone(date, utc) {
  if (utc) return "UTC";
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/**
 * A moment as plotly reads it, which knows no zones: the digits that shall stand at the axis.
 *
 * Where clocks are set back an hour, that hour is drawn twice over itself; UTC has no such hour.
 */
export function plotTime(date, utc) {
  const shifted = new Date(date.getTime() - (utc ? 0 : date.getTimezoneOffset() * 60e3));
  return shifted.toISOString().slice(0, -1);
}

/** The moment that plotly's digits stand for. */
export function fromPlotTime(digits, utc) {
  const iso = String(digits).replace(" ", "T");
  const full = iso.length === 10 ? `${iso}T00:00` : iso;
  return new Date(utc ? `${full}Z` : full);
}
