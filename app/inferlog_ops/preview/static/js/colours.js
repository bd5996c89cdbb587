// Colours: from the dashboard files, or from a palette of distinct series colours.

// Without red and green, which mark values beyond and within the service level.
const SERIES = [
  "#3f8ae0",
  "#e58a3c",
  "#8f6fd6",
  "#2ba6a6",
  "#d9669b",
  "#c2a02c",
  "#6f8fb3",
  "#a5714f",
  "#5dbb63",
  "#b25fc2",
];

/** The row or series of events without the breakdown field. */
export const NO_VALUE = "(none)";

/** The row or series of all model versions without one of their own. */
export const OTHER_VERSIONS = "(other)";

const FIXED = new Map([
  [NO_VALUE, "#8b95a5"],
  [OTHER_VERSIONS, "#b5a27c"],
]);

const PALETTES = {
  status: ["#24c292", "#fcd883", "#f6726a"],
  temperature: ["#61a2ff", "#bfdbff", "#ebeff5", "#fcc5bb", "#f6726a"],
  complementary: ["#61a2ff", "#bfdbff", "#ebeff5", "#fde0a8", "#eaae01"],
  negative: ["#ffedeb", "#fcc5bb", "#f6726a"],
  positive: ["#e2f8f0", "#9be3cb", "#24c292"],
  cool: ["#e8f1ff", "#a8cbff", "#61a2ff"],
  warm: ["#fff1d6", "#fcd883", "#eaae01"],
  gray: ["#ecf1f9", "#bcc6d6", "#7c8ba3"],
};

/**
 * Assigns each series a colour, the same in all charts of a dashboard.
 *
 * Those that a chart brings for the first time take the free colours in alphabetical order, so that it does not matter
 * which chart is drawn first.
 */
export class SeriesColours {
  #taken = new Map();

  assign(names) {
    for (const name of [...new Set(names)].sort()) {
      if (!FIXED.has(name) && !this.#taken.has(name)) this.#taken.set(name, SERIES[this.#taken.size % SERIES.length]);
    }
    return (name) => FIXED.get(name) ?? this.#taken.get(name);
  }
}

/** The colour that a breakdown's `mapping` names for a value; undefined if none. */
export function mapped(colour, value) {
  const rule = (colour?.mapping ?? []).find(({ values }) => values?.map(String).includes(String(value)));
  return rule?.color?.value;
}

/**
 * The colour of a figure by `colour`, the setting of a metric, gauge or column; null without one.
 *
 * `least` and `most`: the range of percentages and palettes.
 */
export function byValue(colour, value, least, most) {
  if (value === null || value === undefined || !colour) return null;
  if (colour.type === "static") return colour.color;
  if (colour.type === "distributed_palette") return fromPalette(PALETTES[colour.palette], value, least, most);
  if (colour.type !== "dynamic") return null;
  const figure = colour.range === "percentage" ? share(value, least, most) * 100 : value;
  const step = colour.steps.find(
    ({ gte, lt, lte }) =>
      (gte === undefined || figure >= gte) && (lt === undefined || figure < lt) && (lte === undefined || figure <= lte),
  );
  return step?.color ?? null;
}

/** The stops of a colour scale from 0 to 1 for a heatmap. */
export function scale(colour, least, most) {
  const palette = PALETTES[colour?.type === "distributed_palette" ? colour.palette : "cool"];
  if (colour?.type !== "dynamic") return palette.map((each, index) => [index / (palette.length - 1), each]);
  const edge = (bound) => clamp(colour.range === "percentage" ? bound / 100 : share(bound, least, most));
  return colour.steps.flatMap(({ gte, lt, lte, color }) => {
    const end = lt ?? lte;
    return [
      [gte === undefined ? 0 : edge(gte), color],
      [end === undefined ? 1 : edge(end), color],
    ];
  });
}

/** Black or white, whichever is easier to read on `background` (#rrggbb). */
export function inkOn(background) {
  return luminance(background) > 0.3 ? "#10151d" : "#ffffff";
}

function fromPalette(palette, value, least, most) {
  const index = Math.floor(share(value, least, most) * palette.length);
  return palette[Math.min(Math.max(index, 0), palette.length - 1)];
}

const share = (value, least, most) => (most > least ? (value - least) / (most - least) : 0);

const clamp = (part) => Math.min(Math.max(part, 0), 1);

/** Relative luminance as WCAG defines it. */
function luminance(colour) {
  const channels = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);
  const [red, green, blue] = channels.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
