// A dashboard: its panels on the grid, its sections.

import { h, icon, uniqueId } from "./dom.js";
import { Panel } from "./panel.js";

const CHEVRON = "M4 6l4 4 4-4z";

export class Dashboard {
  element = h("div", { class: "dashboard" });
  #page;
  #panels = [];
  #wanted = null;

  constructor(described, page) {
    this.#page = page;
    // Panels between two sections form a separate grid, as a section takes the whole width.
    let grid = null;
    for (const item of inOrder(described.items)) {
      if (item.panels) {
        grid = null;
        this.element.append(this.#section(item));
      } else {
        grid ??= this.element.appendChild(h("div", { class: "grid" }));
        grid.append(this.#placed(item));
      }
    }
    for (const each of this.element.querySelectorAll(":scope > .grid")) pullUp(each);
  }

  /** Load all visible panels for a range and filters. */
  show(wanted) {
    this.#wanted = wanted;
    for (const panel of this.#panels) panel.show(wanted);
  }

  redraw() {
    for (const panel of this.#panels) panel.redraw();
  }

  /** True while a panel is loading. */
  get busy() {
    return this.#panels.some(({ busy }) => busy);
  }

  stop() {
    for (const panel of this.#panels) panel.stop();
  }

  #placed(item) {
    const panel = new Panel(item, this.#page);
    this.#panels.push(panel);
    const { x, y, w = 24, h: rows = 15 } = item.grid;
    panel.element.style.setProperty("--x", x + 1);
    panel.element.style.setProperty("--y", y + 1);
    panel.element.style.setProperty("--w", w);
    panel.element.style.setProperty("--h", rows);
    if (this.#wanted) panel.show(this.#wanted);
    return panel.element;
  }

  /** Panels of a section are created when it is first opened. */
  #section({ title, collapsed, panels }) {
    const grid = h("div", { class: "grid", id: uniqueId("section"), hidden: true });
    const toggle = h(
      "button",
      { type: "button", class: "plain section-toggle", "aria-expanded": "false", "aria-controls": grid.id },
      icon(CHEVRON),
      h("span", {}, title),
      h("span", { class: "section-count" }, `${panels.length} ${panels.length === 1 ? "panel" : "panels"}`),
    );
    const open = (wanted) => {
      if (wanted && grid.children.length === 0) {
        grid.append(...inOrder(panels).map((panel) => this.#placed(panel)));
        pullUp(grid);
      }
      grid.hidden = !wanted;
      toggle.setAttribute("aria-expanded", String(wanted));
    };
    toggle.addEventListener("click", () => open(grid.hidden));
    open(!collapsed);
    return h("section", { class: "section" }, h("h2", { class: "section-head" }, toggle), grid);
  }
}

/** From top to bottom and left to right: the order for a keyboard, and for a narrow screen. */
function inOrder(items) {
  return [...items].sort((one, other) => one.grid.y - other.grid.y || (one.grid.x ?? 0) - (other.grid.x ?? 0));
}

/** Shift a grid below a section so that it starts at row 1. */
function pullUp(grid) {
  const top = Math.min(...[...grid.children].map((child) => Number(child.style.getPropertyValue("--y"))));
  for (const child of grid.children)
    child.style.setProperty("--y", Number(child.style.getPropertyValue("--y")) - top + 1);
}
