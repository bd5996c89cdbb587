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
    r"/(?P<secret>[\w/@-]{16,})",
    re.IGNORECASE,
)
# A URL that is split into its parts: SplitResult(scheme='https', netloc='app:…@host', path='/x').
_QUOTED: Final = r"""\\{0,4}["']?[:=][ ]?b?\\{0,4}["']"""
_PARTS: Final = re.compile(
    rf"""(?:scheme{_QUOTED}(?P<scheme>[a-z0-9+.-]{{0,32}})\\{{0,4}}["'],[ ]?\\{{0,4}}["']?)?"""
    rf"""netloc{_QUOTED}(?P<address>[^\s"'\\]{{0,1024}})"""
)


def find_url_secrets(text: str, lowered: str) -> list[Span]:
    """Return the spans of passwords, tokens and codes in the URLs of *text*; *lowered* is *text* in lower case."""
    spans: list[Span] = []
    scheme_ends = text.find("://")
    while scheme_ends >= 0:
        starts = scheme_ends + 3
        address = _ADDRESS.match(text, starts)
        ends = address.end() if address else starts
        name_is_secret = lowered.endswith(_NAME_IS_SECRET, 0, scheme_ends)
        spans += _find_userinfo(text[starts:ends], starts, name_is_secret=name_is_secret)
        if hook := _HOOK.match(text, starts):
            spans.append(hook.span("secret"))
        scheme_ends = text.find("://", ends)
    if "@" in text:
        spans += [match.span("secret") for match in _WITHOUT_SCHEME.finditer(text)]
        if "netloc" in lowered:
            for parts in _PARTS.finditer(lowered):
                name_is_secret = parts["scheme"] in _NAME_IS_SECRET
                spans += _find_userinfo(parts["address"], parts.start("address"), name_is_secret=name_is_secret)
    if "?" in text:
        spans += [match.span("secret") for match in _CODE.finditer(text)]
    return spans


def _find_userinfo(address: str, starts: int, *, name_is_secret: bool) -> list[Span]:
    """Return the span of the secret before the ``@`` of *address*, the part of a text after ``://``, at *starts*."""
    authority = _AUTHORITY.match(address)
    host_ends = authority.end() if authority else 0
    at = address.rfind("@", 0, host_ends)
    colon = address.find(":", 0, host_ends if at < 0 else at)
    if at < 0 and colon > 0 and not address.startswith("[") and not _PORT.match(address, colon + 1):
        at = address.find("@", colon)  # a password with a slash that should have been written %2F
    if at <= 0:
        return []
    if 0 <= colon < at - 1:
        return [(starts + colon + 1, starts + at)]
    return [(starts, starts + at)] if name_is_secret else []
