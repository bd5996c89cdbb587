"""Preview page in a real browser that records console errors and requests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from traceback import format_exc
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, sync_playwright
from starlette.types import ASGIApp, Receive, Scope, Send

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.preview.app import create_app
from scripts.lib.set_up_browser import find
from tests.support.polling import wait_until
from tests.support.serving import serve_app

# A new profile requests updates and experiments from Google, which is not under test.
_QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # in a container the tests run as root
)
PATIENCE_MS = 30_000
_A_REFUSED_ANSWER = "Failed to load resource"


@contextmanager
def run_browser() -> Iterator[Browser]:
    """Run the installed Chromium. Its thread runs an asyncio loop and cannot run another."""
    path = find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_QUIET))
        yield browser
        browser.close()


@dataclass(slots=True, kw_only=True)
class Visit:
    """
    Open browser window.

    Attributes:
        page: Page of Playwright.
        url: Address of the preview server.
        errors: Errors in the browser's console, and uncaught exceptions.
        requests: Every address requested by the browser.
    """

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def go(self, dashboard: str = "inferlog-overview", **parameters: Any) -> None:
        """Open *dashboard* with *parameters* in the address, and wait for the visible panels."""
        # A popup left open by an earlier test stays open on another address, and a click would close it.
        self.page.evaluate("document.querySelector(':popover-open')?.hidePopover()")
        query = urlencode(parameters, doseq=True, quote_via=quote)
        self.page.goto(f"{self.url}/#/view/{dashboard}?{query}")
        self.wait_until_settled()

    def wait_until_settled(self) -> None:
        """Wait until all visible panels show data of the current address."""
        wait_until(
            lambda: self.page.evaluate("document.querySelector('main').dataset.address === location.hash"),
            timeout_seconds=PATIENCE_MS / 1000,
            what="the page to follow its address",
        )
        self.page.locator('.panel[aria-busy="true"]').first.wait_for(state="detached", timeout=PATIENCE_MS)

    def find_panel(self, panel_id: str) -> Any:
        """Scroll to the panel *panel_id* and return it when it is drawn."""
        panel = self.page.locator(f'[data-panel="{panel_id}"]')
        panel.scroll_into_view_if_needed()
        drawn = self.page.locator(f'[data-panel="{panel_id}"][aria-busy="false"] .panel-body > *')
        drawn.first.wait_for(state="attached", timeout=PATIENCE_MS)
        return panel

    def read_drawn(self, panel_id: str) -> list[dict[str, Any]]:
        """Return the traces that plotly draws in the panel."""
        canvas = self.find_panel(panel_id).locator(".canvas.js-plotly-plot")
        canvas.wait_for(timeout=PATIENCE_MS)
        traces: list[dict[str, Any]] = canvas.evaluate("canvas => canvas.data")
        return traces


@contextmanager
def open_preview(
    browser: Browser,
    cluster: Cluster,
    *,
    width: int = 1280,
    height: int = 900,
    dark: bool = False,
    refusals: bool = False,
) -> Iterator[Visit]:
    """
    Serve the page about *cluster* and yield an empty browser window.

    Args:
        browser: Browser of the window.
        cluster: Cluster of the figures.
        width: Width of the window, px.
        height: Height of the window, px.
        dark: Whether the user prefers dark colours.
        refusals: Whether error responses in the browser's console are allowed.

    Raises:
        AssertionError: At the end, if a response failed, the browser reported an error, or it sent a request to
            another server.
    """
    failures: list[str] = []
    with serve_app(_record_failures(create_app(cluster), failures)) as url:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", timezone_id="UTC"
        )
        visit = Visit(page=context.new_page(), url=url)
        visit.page.set_default_timeout(PATIENCE_MS)
        _listen(visit, tolerated=_is_refusal if refusals else lambda _: False)
        yield visit
        context.close()
        assert not failures, "\n".join(failures)
        assert not visit.errors, visit.errors
        elsewhere = [each for each in visit.requests if urlsplit(each).netloc != urlsplit(url).netloc]
        assert all(each.startswith("data:") for each in elsewhere), elsewhere


def _record_failures(app: ASGIApp, failures: list[str]) -> ASGIApp:
    """Serve *app* and record its exceptions, because the browser reports only a status 500."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except BaseException:  # a cancellation is also answered with 500
            failures.append(f"{scope['path']}: {format_exc()}")
            raise

    return answer


def _listen(visit: Visit, *, tolerated: Callable[[ConsoleMessage], bool]) -> None:
    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not tolerated(message):
            visit.errors.append(f"{message.text} ({message.location})")

    def refuse_dialog(dialog: Dialog) -> None:
        visit.errors.append(f"a script ran: {dialog.message}")
        dialog.dismiss()

    visit.page.on("console", note)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("dialog", refuse_dialog)
    visit.page.on("request", lambda request: visit.requests.append(request.url))


def _is_refusal(message: ConsoleMessage) -> bool:
    return message.text.startswith(_A_REFUSED_ANSWER)


def format_address(moment: datetime) -> str:
    """Format *moment* as in the page's address."""
    return moment.isoformat().replace("+00:00", "Z")
