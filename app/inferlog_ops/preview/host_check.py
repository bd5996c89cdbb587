"""Access rules of the preview page for every path: allowed hosts, origins and methods, and security headers."""

import re
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# plotly creates two <style> elements: an empty one, which it fills rule by rule, and one for maps, which are not used
# here. Their hashes allow these two and no others. A plotly version with a different map style only causes a warning
# in the browser's console.
_EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
_PLOTLY_MAP_STYLE = "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src-elem 'self' {_EMPTY_STYLE} {_PLOTLY_MAP_STYLE}",
        # plotly sets style attributes on SVG text. They cannot run code, and the last two directives prevent
        # inserted markup, the only other source of such attributes.
        "style-src-attr 'unsafe-inline'",
        # plotly draws the cells of a heatmap as a data: image.
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
_OWN_PAGE = ("same-origin", "none")  # "none": the address was typed by the user


class RequestGuard:
    """
    Rejects requests from other hosts, other sites and with other methods than GET; adds security headers.

    Args:
        app: The application for allowed requests.
        hosts: Allowed host names, with any port.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = _LOCAL_NAMES) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refuse(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refuse(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # DNS rebinding: another site can point its name at 127.0.0.1 and then read our responses.
        named = _HOST.fullmatch(host)
        if named is None or named[1] not in self._hosts:
            return PlainTextResponse(
                f"this page is available only as {' and '.join(sorted(self._hosts))}; open one of these addresses\n",
                status_code=421,
            )
        # Another site cannot read the responses, but could overload Elasticsearch; so could a page on another
        # port of this machine, which is "same-site". A link to the page itself is allowed.
        if headers.get("sec-fetch-site", "none") not in _OWN_PAGE and scope["path"].startswith("/api/"):
            return PlainTextResponse("requests from other sites are not allowed\n", status_code=403)
        if scope["method"] != "GET":
            return PlainTextResponse("this page is read-only; use GET\n", status_code=405, headers={"Allow": "GET"})
        return None
