"""What holds for every answer of the preview page, whatever the path: who may ask, how, and what a browser may do."""

import re
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# plotly makes two <style> elements: an empty one, which it fills rule by rule, and one for maps, which nobody draws
# here. Their hashes let these two through and no other. Another version of plotly may have another map style: that
# one would be refused, which costs a line in the browser's console.
_EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
_PLOTLY_MAP_STYLE = "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src-elem 'self' {_EMPTY_STYLE} {_PLOTLY_MAP_STYLE}",
        # plotly sets style attributes on the SVG text it draws. They cannot run anything, and without inserted
        # markup, which the last two lines rule out, nobody else can set one.
        "style-src-attr 'unsafe-inline'",
        # plotly draws a heatmap's cells as an image of its own making.
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LOCAL_NAMES = ("127.0.0.1", "localhost")
_HOST = re.compile("([^:]*)(?::[0-9]{1,5})?")
_OF_OUR_PAGE = ("same-origin", "none")  # or somebody's own typing


class Guard:
    """
    Refuses what is not a reading request to this machine, and puts the security headers on every answer.

    Args:
        app: What answers the rest.
        hosts: Names under which the page may be asked for; any port of them.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = _LOCAL_NAMES) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # A page of another site may point its own name at 127.0.0.1 and then read our answers as its own.
        named = _HOST.fullmatch(host)
        if named is None or named[1] not in self._hosts:
            return PlainTextResponse(
                f"this page answers to {' and '.join(sorted(self._hosts))} only; open it under one of these names\n",
                status_code=421,
            )
        # It could not read the answers, but it could keep Elasticsearch busy; so could what another port of this
        # machine serves, "same-site" to a browser. A link to the page itself is fine.
        if headers.get("sec-fetch-site", "none") not in _OF_OUR_PAGE and scope["path"].startswith("/api/"):
            return PlainTextResponse("figures are given to this page only, not to other sites\n", status_code=403)
        if scope["method"] != "GET":
            return PlainTextResponse("this page only reads\n", status_code=405, headers={"Allow": "GET"})
        return None
