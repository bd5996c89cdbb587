"""Credentials in URLs: ``postgres://app:…@db``, ``https://…@host``, ``?code=…``."""

import re
from typing import Final

from inferlog.redaction.spans import Span

_ADDRESS: Final = re.compile(r"[^\s\"'<>`:]*(?::(?!//)[^\s\"'<>`:]*)*")  # up to the next URL
_AUTHORITY: Final = re.compile(r"[^/?#]*")
_PORT: Final = re.compile(r"[0-9]{0,5}(?=[/?#]|$)")
# With these schemes a user name is often a token; with others a name alone is not a secret: ssh://git@host.
_NAME_IS_SECRET: Final = ("http", "https")
# Go's MySQL: app:…@tcp(db:3306). Others without a scheme are recognised by a port and a password that is not a word.
_WITHOUT_SCHEME: Final = re.compile(
    r"(?<![\w/.-])[A-Za-z][\w.-]{0,63}:(?=[A-Za-z]{0,128}[^A-Za-z@]|[A-Za-z]{1,128}@(?:tcp|unix)\()"
    r"(?P<secret>[^\s:@/\"'<>]{3,128})@(?:(?:tcp|unix)\(|(?!sha256)[\w.-]{1,128}:[0-9]{2,5}(?!\w))"
)
_CODE: Final = re.compile(
    r"[?&;](?:code|key|sig|signature|x-amz-signature|x-goog-signature|auth)="
    r"(?=[^\s&0-9]{0,128}[0-9])(?P<secret>[\w%+/.~-]{16,})",
    re.ASCII | re.IGNORECASE,
)
# Webhook URLs of chats, which are secrets themselves.
_HOOK: Final = re.compile(
    r"(?:hooks\.slack\.com/[a-z]{1,16}|discord(?:app)?\.com/api/webhooks|[\w-]{1,64}\.webhook\.office\.com/\w{1,16})"
    r"/(?P<secret>[\w/@-]{16,})"
)


def find_url_secrets(text: str) -> list[Span]:
    """Return the spans of passwords, tokens and one-time codes in the URLs of *text*."""
    spans: list[Span] = []
    scheme_ends = text.find("://")
    while scheme_ends >= 0:
        starts = scheme_ends + 3
        address = _ADDRESS.match(text, starts)
        ends = address.end() if address else starts
        name_is_secret = text.endswith(_NAME_IS_SECRET, 0, scheme_ends)
        if span := _find_userinfo(text[starts:ends], name_is_secret=name_is_secret):
            spans.append((starts + span[0], starts + span[1]))
        if hook := _HOOK.match(text, starts):
            spans.append(hook.span("secret"))
        scheme_ends = text.find("://", ends)
    if "@" in text:
        spans += [match.span("secret") for match in _WITHOUT_SCHEME.finditer(text)]
    if "?" in text:
        spans += [match.span("secret") for match in _CODE.finditer(text)]
    return spans


def _find_userinfo(address: str, *, name_is_secret: bool) -> Span | None:
    """Return the span of the secret before the ``@`` of *address*, the part after ``://``."""
    authority = _AUTHORITY.match(address)
    host_ends = authority.end() if authority else 0
    at = address.rfind("@", 0, host_ends)
    colon = address.find(":", 0, host_ends if at < 0 else at)
    if at < 0 and colon > 0 and not address.startswith("[") and not _PORT.match(address, colon + 1):
        at = address.find("@", colon)  # a password with a slash that should have been written %2F
    if at < 0:
        return None
    if 0 <= colon < at - 1:
        return colon + 1, at
    return (0, at) if name_is_secret else None
