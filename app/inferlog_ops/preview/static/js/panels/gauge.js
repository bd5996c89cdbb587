// A figure between its least and its most, with the goal marked.

import { placeOf, requireColumns, typeOf } from "../answer.js";
import { byValue } from "../colours.js";
import { h, svg } from "../dom.js";
import { formatter } from "../format.js";

const START = { arc: -120, semi_circle: -90, circle: -180 };

export function draw(body, { config }, { answers: [answer] }, page) {
  const { metric } = config;
  requireColumns(answer, [metric.column, ...["min", "max", "goal"].map((bound) => metric[bound]?.column)]);
  const [row] = answer.rows;
  const bound = (name, otherwise) => {
    const wanted = metric[name];
    return (wanted?.column ? row[placeOf(answer, wanted.column)] : wanted?.value) ?? otherwise;
  };
  const value = row[placeOf(answer, metric.column)];
  const goal = bound("goal", null);
  const [least, most] = [bound("min", 0), bound("max", roundedUp(Math.max(value ?? 0, goal ?? 0)))];
  const part = (figure) => Math.min(Math.max((figure - least) / (most - least || 1), 0), 1);
  const write = formatter(metric.format, typeOf(answer, metric.column), page);
  const shape = config.styling?.shape ?? { type: "bullet" };
  const drawn = {
    value: value === null ? 0 : part(value),
    goal: goal === null ? null : part(goal),
    colour: byValue(metric.color, value, least, most) ?? "var(--accent)",
  };
  const aim = goal === null ? "" : `, goal ${write(goal)}`;
  const label = `${write(value)}; from ${write(least)} to ${write(most)}${aim}`;
  const title = metric.title?.visible === false ? null : (metric.title?.text ?? metric.label ?? metric.column);
  const around = shape.type !== "bullet";

  body.replaceChildren(
    h(
      "div",
      { class: `gauge ${around ? "gauge-round" : shape.orientation === "vertical" ? "gauge-vertical" : "gauge-bar"}` },
      h(
        "p",
        { class: "gauge-text" },
        title && h("span", { class: "tile-title" }, title),
        metric.subtitle && h("span", { class: "tile-subtitle" }, metric.subtitle),
        h("span", { class: "gauge-value" }, write(value)),
      ),
      around
        ? round(drawn, START[shape.type] ?? START.arc, label)
        : bar(drawn, shape.orientation === "vertical", label),
      metric.ticks?.visible !== false &&
        h(
          "p",
          { class: "gauge-ticks", "aria-hidden": "true" },
          h("span", {}, write(least)),
          goal !== null && h("span", {}, `goal ${write(goal)}`),
          h("span", {}, write(most)),
        ),
    ),
  );
}

function bar({ value, goal, colour }, upright, label) {
  const along = upright ? "height" : "width";
  const from = upright ? "bottom" : "left";
  return h(
    "div",
    { class: "gauge-track", role: "img", "aria-label": label },
    h("div", { class: "gauge-fill", style: { [along]: `${value * 100}%`, background: colour } }),
    goal !== null && h("div", { class: "gauge-goal", style: { [from]: `${goal * 100}%` } }),
  );
}

function round({ value, goal, colour }, start, label) {
  const angle = (part) => start + part * -2 * start;
  const height = start === -90 ? 56 : start === -120 ? 80 : 104;
  return svg(
    "svg",
    { class: "gauge-dial", viewBox: `0 0 104 ${height}`, role: "img", "aria-label": label },
    svg("path", { class: "gauge-arc", d: arc(start, -start) }),
    value > 0 && svg("path", { class: "gauge-arc filled", d: arc(start, angle(value)), style: { stroke: colour } }),
    goal !== null && tick(angle(goal)),
  );
}

const at = (degrees, radius) => {
  const turned = ((degrees - 90) * Math.PI) / 180;
  return `${(52 + radius * Math.cos(turned)).toFixed(3)} ${(52 + radius * Math.sin(turned)).toFixed(3)}`;
};

/** Degrees count clockwise from the top. A whole circle would end where it begins, and be nothing. */
function arc(from, to) {
  const end = Math.min(to, from + 359.9);
  return `M${at(from, 44)}A44 44 0 ${end - from > 180 ? 1 : 0} 1 ${at(end, 44)}`;
}

function tick(degrees) {
  return svg("path", { class: "gauge-tick", d: `M${at(degrees, 36)}L${at(degrees, 51)}` });
}

/** Where the file names no end: the next 1, 2 or 5 times a power of ten. */
function roundedUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= value);
}
