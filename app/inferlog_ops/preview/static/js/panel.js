// A panel: its frame, loading and drawing. Errors stay inside the panel.

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
  #wanted = null; // requested view: { from, to, filters }
  #asked = null; // AbortController of the running request
  #data = null; // last drawn answers
  #view = null; // return value of the drawer: resize, stop
  #state = {}; // state of the drawer across redraws: sorting, hidden series

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

  /** True while the panel is loading. */
  get busy() {
    return this.#asked !== null;
  }

  /** Show this range and these filters; loads when the panel is visible. */
  show(wanted) {
    this.#wanted = wanted;
    this.#load();
  }

  /** Redraw the last answers after a change of colours or time zone. */
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

  /** A panel without a query is drawn once, so that its links keep the focus on refresh. */
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
      this.#showMessage("panel-error", error.message);
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
      this.#showMessage("panel-empty", "No events in this range");
      return;
    }
    try {
      this.#body.className = "panel-body";
      const draw = () => this.#drawer.draw(this.#body, this.#panel, data, this.#page, this.#state);
      this.#view = (await keepingFocus(this.#body, draw)) ?? null;
    } catch (error) {
      this.#showMessage("panel-error", error.message);
    }
  }

  /** Show the number of rows cut off by a limit next to the title. */
  #showMissing({ answers, trend }) {
    const notes = [...answers, ...(trend ? [trend] : [])].flatMap((answer) => answer.notes).filter(isOfMissing);
    const count = notes.reduce((sum, note) => sum + note.count, 0);
    this.#missing.hidden = notes.length === 0;
    this.#missing.textContent = `at least ${count.toLocaleString("en-US")} rows missing`;
    this.#missing.title = notes.map(({ text }) => text).join(" ");
  }

  #showMessage(kind, text) {
    this.#view?.stop?.();
    this.#view = null;
    this.#body.className = `panel-body ${kind}`;
    this.#body.replaceChildren(h("p", { role: kind === "panel-error" ? "alert" : null }, text));
  }
}

const isOfMissing = ({ kind }) => kind === "missing_rows" || kind === "unread_rows";
