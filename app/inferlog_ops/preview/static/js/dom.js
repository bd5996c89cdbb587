// Creation of elements. Strings are always text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element.
 *
 * `props`: `class`, `on` (event name to listener), `style` (CSS property to value; set through the object model, which
 * the content security policy allows), any other name an attribute; null and false leave it out, true sets it empty.
 */
export function h(tag, props = {}, ...children) {
  return furnish(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), props, children);
}

function furnish(element, { on = {}, style = {}, ...attributes }, children) {
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  for (const [property, value] of Object.entries(style)) {
    if (value !== null && value !== undefined) element.style.setProperty(property, value);
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** A picture of one path, 16 by 16, in the colour of the text around it. */
export function icon(path, { label = null } = {}) {
  return svg(
    "svg",
    {
      class: "icon",
      viewBox: "0 0 16 16",
      "aria-hidden": label ? null : "true",
      role: label ? "img" : null,
      "aria-label": label,
    },
    svg("path", { d: path }),
  );
}

let lastId = 0;

/** An id that no other element has. */
export function uniqueId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

/** Announce `text` to screen readers. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}
