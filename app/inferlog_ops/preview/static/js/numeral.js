// Patterns such as "0,0.[000]" or "0.0 a", the few of the numeral notation that dashboards use.

const PATTERN = /^([^0-9.,[\]]*)(0,)?0(?:\.(0*)(?:\[(0+)\])?)?( ?)(%|bd?(?![a-z])|a(?![a-z]))?([^0-9.,[\]]*)$/;
const CLOCK = /^0?0:00:00$/;
const STEPS = {
  a: [1000, ["", "k", "m", "b", "t"]],
  b: [1024, ["B", "KB", "MB", "GB", "TB", "PB"]],
  bd: [1000, ["B", "KB", "MB", "GB", "TB", "PB"]],
};

/** The number as the pattern wants it; null if this page does not know the pattern. */
export function formatCustom(value, pattern) {
  if (CLOCK.test(pattern)) return hoursMinutesSeconds(value);
  const match = PATTERN.exec(pattern);
  if (!match) return null;
  const [, before, grouped, always = "", sometimes = "", gap, kind, after] = match;
  let number = kind === "%" ? value * 100 : value;
  let unit = kind === "%" ? "%" : "";
  if (kind in STEPS) [number, unit] = stepped(number, ...STEPS[kind]);
  const written = new Intl.NumberFormat("en-US", {
    useGrouping: Boolean(grouped),
    minimumFractionDigits: always.length,
    maximumFractionDigits: always.length + sometimes.length,
  }).format(number);
  return `${before}${written}${unit || after ? gap : ""}${unit}${after}`;
}

function stepped(value, base, units) {
  let step = 0;
  let size = value;
  while (Math.abs(size) >= base && step < units.length - 1) {
    size /= base;
    step += 1;
  }
  return [size, units[step]];
}

function hoursMinutesSeconds(value) {
  const seconds = Math.round(Math.abs(value));
  const two = (number) => String(number).padStart(2, "0");
  const clock = `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return value < 0 ? `-${clock}` : clock;
}
