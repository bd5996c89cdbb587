// Controls of a dashboard: each filters all panels by the values of one field.

import * as api from "./api.js";
import { h, icon, uniqueId } from "./dom.js";
import { popover } from "./popover.js";

const DOWN = "M4 6l4 4 4-4z";
const SEARCH_PAUSE_MS = 200;

/**
 * Make the row of controls.
 *
 * `page`: gives `dashboardId`, `shown` (range and filters) and `select(field, values)`.
 */
export function controlRow(controls, page) {
  if (controls.length === 0) return null;
  const drawn = controls.map((control) =>
    control.type === "options_list_control" && control.field ? new OptionsList(control, page) : null,
  );
  const clear = h(
    "button",
    { type: "button", class: "quiet", on: { click: () => page.clearFilters() } },
    "Clear filters",
  );
  const row = h(
    "div",
    { class: "controls", role: "group", "aria-label": "Filters" },
    drawn.map((control, index) => control?.elements ?? notDrawn(controls[index])),
    clear,
  );
  return {
    element: row,
    /** Show which values are selected now. */
    update(filters) {
      clear.hidden = filters.length === 0;
      for (const control of drawn) control?.update(filters);
    },
  };
}

function notDrawn({ title, type }) {
  const note = `This page does not support a control of type ${type}.`;
  return h("span", { class: "control-note", title: note }, `${title}: in Kibana only`);
}

class OptionsList {
  #control;
  #page;
  #button;
  #picked = h("strong", {});
  #list = h("div", { class: "options", role: "group" });
  #search;
  #note = h("p", { class: "options-note", "aria-live": "polite" });
  #asking = null;
  #selected = [];

  constructor(control, page) {
    this.#control = control;
    this.#page = page;
    this.#button = h(
      "button",
      { type: "button", class: "control" },
      h("span", {}, control.title),
      this.#picked,
      icon(DOWN),
    );
    this.#search = h("input", {
      type: "search",
      placeholder: "Search",
      "aria-label": `Search ${control.title}`,
      maxlength: "200",
      autocomplete: "off",
      on: { input: () => this.#later() },
    });
    this.#list.setAttribute("aria-label", control.title);
    const none = h("button", { type: "button", class: "quiet", on: { click: () => this.#choose([]) } }, "Clear");
    const content = h(
      "div",
      { class: "options-window", role: "dialog", "aria-label": control.title },
      h("div", { class: "options-head" }, this.#search, none),
      this.#list,
      this.#note,
    );
    this.elements = [h("div", { class: "control-place" }, this.#button)];
    popover(this.#button, content, { onOpen: () => this.#open() });
    content.addEventListener("toggle", (event) => event.newState === "open" && this.#search.focus());
  }

  update(filters) {
    this.#selected = filters.filter(({ field }) => field === this.#control.field).map(({ value }) => value);
    this.#picked.textContent =
      this.#selected.length > 0
        ? `${this.#control.exclude ? "not " : ""}${this.#selected.join(", ")}`
        : this.#control.placeholder;
    this.#button.classList.toggle("chosen", this.#selected.length > 0);
    for (const box of this.#list.querySelectorAll("input")) box.checked = this.#selected.includes(box.value);
  }

  #open() {
    this.#search.value = "";
    this.#list.replaceChildren();
    this.#ask();
  }

  #timer = null;

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), SEARCH_PAUSE_MS);
  }

  async #ask() {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.#note.textContent = "Loading …";
    const search = this.#search.value.trim();
    try {
      const found = await api.values(this.#page.dashboardId, this.#control.id, this.#page.shown, search, asking.signal);
      this.#offer(found, search);
    } catch (error) {
      if (!asking.signal.aborted) this.#note.textContent = error.message;
    }
  }

  #offer({ values, more }, search) {
    // Selected values stay available for deselection, even without events in the range.
    const offered = search
      ? []
      : this.#selected
          .filter((value) => !values.some((each) => each.value === value))
          .map((value) => ({ value, events: 0 }));
    offered.push(...values);
    const name = uniqueId("option");
    this.#list.replaceChildren(...offered.map(({ value, events }) => this.#option(value, events, name)));
    this.#note.textContent =
      offered.length === 0
        ? search
          ? "No value contains this"
          : "No events in this range"
        : more
          ? "More values exist; search for them"
          : "";
  }

  #option(value, events, name) {
    const single = this.#control.single_select;
    const box = h("input", {
      type: single ? "radio" : "checkbox",
      name,
      value,
      checked: this.#selected.includes(value),
      on: { change: () => this.#toggle(value, box.checked) },
    });
    return h(
      "label",
      { class: "option" },
      box,
      h("span", { class: "option-value" }, value),
      h("span", { class: "option-count" }, events.toLocaleString("en-US")),
    );
  }

  #toggle(value, wanted) {
    if (this.#control.single_select) this.#choose([value]);
    else this.#choose(wanted ? [...this.#selected, value] : this.#selected.filter((each) => each !== value));
  }

  #choose(values) {
    this.#page.select(this.#control.field, values);
  }
}
