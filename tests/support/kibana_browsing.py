"""Dashboards of a real Kibana in a real browser: the figures of each panel, as its inspector shows them."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Download, Locator, Page, Request, Response, ViewportSize
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.support.polling import wait_until

PATIENCE_MS = 120_000
_CLICK_MS = 5_000
_INSPECTOR_MS = 20_000
_POLLS_PER_CLICK = 100
_WINDOW: ViewportSize = {"width": 1500, "height": 1200}
_PANEL_MENU = '[data-test-subj="embeddablePanelToggleMenuIcon"]'
_INSPECT = '[data-test-subj="embeddablePanelAction-openInspector"]'
_INSPECTOR = '[data-test-subj="inspectorPanel"]'
_CLOSE_INSPECTOR = '[data-test-subj="euiFlyoutCloseButton"]'
_ERRORS = '[data-test-subj="embeddable-lens-failure"], [data-test-subj="embeddableStackError"], .lnsEmbeddedError'

Table = list[dict[str, str]]


@dataclass(slots=True, kw_only=True)
class KibanaVisit:
    """
    Open browser window on a Kibana.

    Attributes:
        page: Page of Playwright.
        url: Address of the space, without a slash at the end.
        errors: Errors in the browser's console, uncaught exceptions and responses with 400 or more.
        searches: Every search of panels since the last `open`, with its index and body; a search that Kibana still has
            the answer of is not sent again.
    """

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    searches: list[dict[str, Any]] = field(default_factory=list)

    def open(self, dashboard: str, start: datetime, end: datetime) -> None:
        """Open *dashboard* with a time range, and wait until each of its panels is drawn."""
        shown = (
            f"refreshInterval:(pause:!t,value:60000),time:(from:'{_format_moment(start)}',to:'{_format_moment(end)}')"
        )
        self._go(f"{dashboard}?_g=(filters:!(),{shown})")

    def open_stored(self, dashboard: str) -> None:
        """Open *dashboard* with the time range that is stored in it."""
        self._go(dashboard)

    def _go(self, view: str) -> None:
        self.page.goto("about:blank")  # another dashboard in the same page would keep its state
        self.searches.clear()
        self.page.goto(f"{self.url}/app/dashboards#/view/{view}", timeout=PATIENCE_MS)
        self.wait_until_drawn()

    def wait_until_drawn(self) -> None:
        """Wait until no panel is loading."""
        self.page.locator('[data-test-subj="dashboardPanel"]').first.wait_for(timeout=PATIENCE_MS)
        wait_until(
            lambda: not self.list_panels_in_progress(),
            timeout_seconds=PATIENCE_MS / 1000,
            what="the panels to be drawn",
        )

    def list_panels_in_progress(self) -> list[str]:
        """Return the ids of the panels that are still loading; a panel without a figure counts as drawn."""
        found: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll('[data-test-subj="dashboardPanel"]')].filter(panel =>
                panel.querySelector('.euiLoadingChart, .euiLoadingSpinner, [data-render-complete="false"]')
                || !panel.querySelector('[data-render-complete="true"], .dshControl, .markdownBody, .kbnMarkdown__body')
            ).map(panel => panel.id.slice('panel-'.length))"""
        )
        return found

    def list_panel_ids(self) -> list[str]:
        ids: list[str] = self.page.locator('[data-test-subj="dashboardPanel"]').evaluate_all(
            "panels => panels.map(panel => panel.id.slice('panel-'.length))"
        )
        return ids

    def find_panel(self, panel_id: str) -> Locator:
        return self.page.locator(f'[id="panel-{panel_id}"]')

    def list_panel_errors(self) -> list[str]:
        return self.page.locator(_ERRORS).all_inner_texts()

    def choose(self, control: str, value: str) -> None:
        """Choose *value* in the options list with the title *control*, and wait until the panels are drawn again."""
        frame = self.page.locator('[data-test-subj="control-frame"]', has_text=control)
        frame.locator('[data-test-subj^="optionsList-control-"]').first.click()
        self.page.locator(f'[data-test-subj="optionsList-control-selection-{value}"]').click()
        self.page.keyboard.press("Escape")
        self.page.wait_for_load_state("networkidle")
        self.wait_until_drawn()

    def read_time_range(self) -> str:
        """Return the text of the time picker."""
        return self.page.locator('[data-test-subj="superDatePickerShowDatesButton"]').inner_text()

    def read_documents(self, panel_id: str) -> Table:
        """Return the visible rows of the list of documents in the panel, by field."""
        panel = self.find_panel(panel_id)
        panel.scroll_into_view_if_needed()
        cells: Table = panel.locator('[data-test-subj="dataGridRowCell"]').evaluate_all(
            """cells => cells.map(cell => ({
                row: cell.dataset.gridcellRowIndex, field: cell.dataset.gridcellColumnId, text: cell.innerText.trim()
            }))"""
        )
        rows: dict[int, dict[str, str]] = {}
        for cell in cells:
            rows.setdefault(int(cell["row"]), {})[cell["field"]] = cell["text"]
        return [rows[number] for number in sorted(rows)]

    def filter_for(self, panel_id: str, field: str, action: str) -> str:
        """Filter for the first value of *field* in the list of the panel, choose *action*, and return the value."""
        cell = self.find_panel(panel_id).locator(f'[data-gridcell-column-id="{field}"][data-gridcell-row-index="0"]')
        item = self.page.get_by_text(action)
        deadline = monotonic() + PATIENCE_MS / 1000
        while item.count() == 0:
            assert monotonic() < deadline, f"{panel_id}: no {action!r} for {field}"
            with suppress(PlaywrightTimeoutError):  # the button moves in, and the list may be drawn again meanwhile
                cell.hover(timeout=_CLICK_MS)
                cell.locator('[data-test-subj="filterForButton"]').click(timeout=_CLICK_MS)
                item.wait_for(timeout=_CLICK_MS)
        text = cell.inner_text().strip()
        item.click()
        return text

    def read_tables(self, panel_id: str) -> list[Table]:
        """Return the rows of each layer of the panel, as downloaded from its inspector."""
        inspector = self._open_inspector(self.find_panel(panel_id))
        tables = self._download(inspector, self._count_tables(inspector))
        self._close_inspector(inspector)
        return tables

    def _open_inspector(self, panel: Locator) -> Locator:
        """Open the inspector of *panel* again until it has data: one opened during a refresh stays empty."""
        inspector = self.page.locator(_INSPECTOR)
        deadline = monotonic() + PATIENCE_MS / 1000
        while True:
            panel.scroll_into_view_if_needed()
            panel.hover()
            panel.locator(_PANEL_MENU).click()
            self.page.locator(_INSPECT).click()
            try:
                inspector.get_by_role("button", name="Download CSV").wait_for(timeout=_INSPECTOR_MS)
            except PlaywrightTimeoutError:
                if monotonic() >= deadline:
                    raise
                self._close_inspector(inspector)
            else:
                return inspector

    def _close_inspector(self, inspector: Locator) -> None:
        self.page.locator(_CLOSE_INSPECTOR).first.click()
        inspector.wait_for(state="detached")

    def _find_menu_item(self) -> Locator:
        return self.page.get_by_text("Raw CSV")

    def _count_tables(self, inspector: Locator) -> int:
        """Return the number of tables in the inspector's list, which is there only for several."""
        chooser = inspector.locator('[data-test-subj="inspectorTableChooser"]')
        if chooser.count() == 0:
            return 1
        chooser.click()
        items = self.page.locator('[data-test-subj="inspectorTableChooserMenuPanel"] .euiContextMenuItem')
        items.first.wait_for()
        number = items.count()
        chooser.click()
        items.first.wait_for(state="detached")
        return number

    def _download(self, inspector: Locator, number: int) -> list[Table]:
        """Return all tables, in the order of their layers: Kibana sends a file for each."""
        downloads: dict[str, Download] = {}

        def keep(download: Download) -> None:
            downloads[download.suggested_filename] = download

        self.page.on("download", keep)
        deadline = monotonic() + PATIENCE_MS / 1000
        while len(downloads) < number:
            assert monotonic() < deadline, f"{len(downloads)} of {number} files were downloaded"
            # The menu may close while it is clicked, so the click is repeated.
            if self._find_menu_item().count() == 0:
                inspector.get_by_role("button", name="Download CSV").click()
            with suppress(PlaywrightTimeoutError):
                self._find_menu_item().click(timeout=_CLICK_MS)
            for _ in range(_POLLS_PER_CLICK):
                self.page.wait_for_timeout(100)  # handles the events of the page, which a plain sleep does not
                if len(downloads) >= number:
                    break
        self.page.remove_listener("download", keep)
        return [_read_csv(Path(downloads[name].path())) for name in sorted(downloads)]


def _read_csv(path: Path) -> Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@contextmanager
def open_kibana(browser: Browser, url: str, **options: Any) -> Iterator[KibanaVisit]:
    """
    Yield an empty browser window for the Kibana at *url*.

    Raises:
        AssertionError: At the end, if the console has an error, an exception was not caught or a response failed.
    """
    context = browser.new_context(viewport=_WINDOW, timezone_id="UTC", accept_downloads=True, **options)
    visit = KibanaVisit(page=context.new_page(), url=url.rstrip("/"))
    visit.page.set_default_timeout(PATIENCE_MS)
    visit.page.on("console", lambda message: _note(visit, message.text) if message.type == "error" else None)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("response", lambda response: _note_response(visit, response))
    visit.page.on("request", lambda request: _note_searches(visit, request))
    yield visit
    context.close()
    assert not visit.errors, visit.errors


def parse_number(text: str) -> float | None:
    """Return the number in a cell of a raw CSV, or the beginning of a range; None for an empty cell."""
    if text in {"", "-", "null", "undefined", "__missing__"}:
        return None
    found = _RANGE.match(text)
    return float(found[1] if found else text.replace(",", ""))


_RANGE = re.compile(r"\W*from:\W*([\d.]+)")
# Messages of Kibana 8.12 on every page, without any object of ours.
_OF_KIBANA = (
    "Executing inline script violates",
    "You are currently using minified code",
    "Failed to load resource",  # its response is noted
)
_DATA = re.compile(r"/(api|internal)/")


def _note(visit: KibanaVisit, text: str) -> None:
    if not text.startswith(_OF_KIBANA):
        visit.errors.append(text)


def _note_response(visit: KibanaVisit, response: Response) -> None:
    if response.status >= 400 and _DATA.search(urlsplit(response.url).path):
        visit.errors.append(f"{response.status} {response.request.method} {response.url}")


def _note_searches(visit: KibanaVisit, request: Request) -> None:
    path = urlsplit(request.url).path
    if not path.endswith(("/internal/bsearch", "/internal/search/ese")):
        return
    body: Any = request.post_data_json
    # Each of /internal/search/ese is alone: Kibana uses it where the setting bfetch:disable is on.
    sent = [each["request"] for each in body["batch"]] if "batch" in body else [body]
    visit.searches += [each["params"] for each in sent if "body" in each.get("params", {})]


def _format_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
