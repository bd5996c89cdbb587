// One panel: its frame, and the way from "asked" to "drawn". Whatever goes wrong in it stays in it.

import * as api from "./api.js";
import { h, icon, uniqueId } from "./dom.js";
import { keepingFocus } from "./focus.js";
import { inspect } from "./inspect.js";
import { drawerOf } from "./panels/index.js";

const LOOK_INSIDE = "M2 3h12v2H2zM2 7h12v2H2zM2 11h12v2H2z";

export class Panel {
  #panel;
  #page;
  #drawer;
  #body = h("div", { class: "panel-body" });
  #missing = h("span", { class: "panel-missing", role: "note", hidden: true });
  #element;
  #visible = false;
  #wanted = null; // what shall be shown: { from, to, filters }
  #asked = null; // the AbortController of the question under way
  #data = null; // what was last drawn
  #view = null; // what the drawer gave back: resize, stop
  #state = {}; // what a drawer keeps from one drawing to the next: sorting, hidden series

  constructor(panel, page) {
    this.#panel = panel;
    this.#page = page;
    this.#drawer = drawerOf(panel);
    this.#element = this.#frame();
    this.#watch();
  }

  get element() {
    return this.#element;
  }

  /** Whether it waits for an answer. */
  get busy() {
    return this.#asked !== null;
  }

  /** Show this range and these filters; asks once the panel is in sight. */
  show(wanted) {
    this.#wanted = wanted;
    this.#load();
  }

  /** Draw again what is known: the colours or the time zone have changed. */
  async redraw() {
    if (this.#data && this.#asks) await this.#draw(this.#data);
  }

  stop() {
    this.#asked?.abort();
    this.#view?.stop?.();
    this.#seen.disconnect();
    this.#sized.disconnect();
  }

  #frame() {
    const { config, type } = this.#panel;
    const title = config.title ?? "";
    const heading = h("h3", { id: uniqueId("panel-title"), class: "panel-title" }, title);
    const shown = title !== "" && !config.hide_title && !this.#page.hideTitles;
    const inside = this.#panel.queries.length > 0;
    return h(
      "section",
      {
        class: `panel panel-${type === "vis" ? config.type : type}${config.hide_border ? " borderless" : ""}`,
        "data-panel": this.#panel.id,
        "aria-labelledby": title ? heading.id : null,
        "aria-label": title ? null : this.#panel.id,
        "aria-busy": "false",
      },
      h("div", { class: "progress", "aria-hidden": "true" }),
      (title || inside) &&
        h(
          "header",
          { class: `panel-head${shown ? "" : " floating"}` },
          shown ? heading : title && h("h3", { id: heading.id, class: "visually-hidden" }, title),
          config.description &&
            shown &&
            h(
              "span",
              {
                class: "hint",
                tabindex: "0",
                title: config.description,
                role: "note",
                "aria-label": config.description,
              },
              "i",
            ),
          this.#missing,
          h("span", { class: "panel-links" }, this.#page.drilldowns(config)),
          inside &&
            h(
              "button",
              {
                type: "button",
                class: "quiet panel-menu",
                "aria-label": `Look inside ${title || this.#panel.id}`,
                title: "Look inside: data and query",
                on: { click: () => this.#inspect() },
              },
              icon(LOOK_INSIDE),
            ),
        ),
      this.#body,
    );
  }

  #inspect() {
    inspect(this.#panel, this.#data, this.#page);
  }

  #seen = new IntersectionObserver(
    ([entry]) => {
      this.#visible = entry.isIntersecting;
      this.#load();
    },
    { rootMargin: "150px" },
  );

  #sized = new ResizeObserver(() => this.#view?.resize?.());

  #watch() {
    this.#seen.observe(this.#element);
    this.#sized.observe(this.#body);
  }

  get #asks() {
    return this.#drawer.asks !== false;
  }

  /** Without a question it is drawn once for all: a link in it keeps the keyboard whenever the page looks again. */
  #isDrawn(wanted) {
    return this.#data !== null && (!this.#asks || this.#data.about === wanted);
  }

  async #load() {
    const wanted = this.#wanted;
    if (!this.#visible || !wanted || this.#asked?.about === wanted || this.#isDrawn(wanted)) return;
    this.#asked?.abort();
    const asking = new AbortController();
    asking.about = wanted;
    this.#asked = asking;
    this.#element.setAttribute("aria-busy", "true");
    try {
      const answered = this.#asks
        ? await api.panel(this.#page.dashboardId, this.#panel.id, wanted, asking.signal)
        : { answers: [], trend: null };
      asking.signal.throwIfAborted();
      this.#data = { ...answered, about: wanted };
      await this.#draw(this.#data);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#data = null;
      this.#say("panel-error", error.message);
    } finally {
      if (this.#asked === asking) {
        this.#asked = null;
        this.#element.setAttribute("aria-busy", "false");
      }
    }
  }

  async #draw(data) {
    this.#showMissing(data);
    if (data.answers.length > 0 && data.answers.every(({ rows }) => rows.length === 0)) {
      this.#say("panel-empty", "No events in this range");
      return;
    }
    try {
      this.#body.className = "panel-body";
      const draw = () => this.#drawer.draw(this.#body, this.#panel, data, this.#page, this.#state);
      this.#view = (await keepingFocus(this.#body, draw)) ?? null;
    } catch (error) {
      this.#say("panel-error", error.message);
    }
  }

  /** Rows that a limit has cut off are named beside the title: what is drawn is not everything. */
  #showMissing({ answers, trend }) {
    const notes = [...answers, ...(trend ? [trend] : [])].flatMap((answer) => answer.notes).filter(isOfMissing);
    const count = notes.reduce((sum, note) => sum + note.count, 0);
    this.#missing.hidden = notes.length === 0;
    this.#missing.textContent = `at least ${count.toLocaleString("en-US")} rows missing`;
    this.#missing.title = notes.map(({ text }) => text).join(" ");
  }

  #say(kind, text) {
    this.#view?.stop?.();
    this.#view = null;
    this.#body.className = `panel-body ${kind}`;
    this.#body.replaceChildren(h("p", { role: kind === "panel-error" ? "alert" : null }, text));
  }
}

const isOfMissing = ({ kind }) => kind === "missing_rows" || kind === "unread_rows";
