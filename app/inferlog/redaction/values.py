"""Value of a secret name: its span, and whether it is an actual value."""

import re
from typing import Final

from inferlog.redaction.names import Confidence, Name
from inferlog.redaction.spans import Span

_QUOTE: Final = re.compile(r"""[bruf]{0,2}(?P<mark>\\{0,4}["'`]|&quot;|&\#39;)""")
_IN_QUOTES: Final = {
    '"': re.compile(r'[^"\\\n]*(?:(?:\\.|"")[^"\\\n]*)*', re.DOTALL),
    "'": re.compile(r"[^'\\\n]*(?:(?:\\.|'')[^'\\\n]*)*", re.DOTALL),
}
_REST_OF_LINE: Final = re.compile(r"[^\n]*")
# An unquoted value ends at a space, at the next name=, or at closing marks at its end.
_BARE: Final = re.compile(
    r"""
    [^\s"'`,;&<>()\[\]{}\\]*
    (?:
      (?: \[redacted\]
        | (?! [,;&](?:amp;)?[\w.%-]{1,40}[=:] | \\["'] | \\[nrt][\w.-]{1,40}[=:] )
          ["'`,;&<>()\[\]{}\\] (?=[^\s"'`,;&<>()\[\]{}\\])
      )
      [^\s"'`,;&<>()\[\]{}\\]*
    )*
    """,
    re.VERBOSE,
)
_BRACKET: Final = re.compile(r"[()\[\]{}]")
_BRACKETED_LIMIT_CHARACTERS: Final = 1_000

# Credentials of a header: the scheme is kept, because it helps to find the cause; parameters are redacted.
_SCHEME: Final = re.compile(
    r"""
    (?: (?:api-?key|aws4-hmac-sha256|basic|bearer|digest|hawk|key|negotiate|ntlm|oauth|sharedkey|splunk|token)[ ]{1,4}
      | [a-z][a-z-]{1,31}[ ](?: (?=[^\s0-9]{0,64}[0-9])(?=\S{8}) | (?=\[redacted\]) )
    )(?=\S)
    """,
    re.VERBOSE,
)
_PARAMETERS: Final = re.compile(r'"?(?:,[ ]{0,4}[\w-]{1,32}=(?:"[^"\n]*"|[^\s,"]+))*')
_COOKIES: Final = re.compile(
    r"""[^\s;,="']+=(?:"[^"\n]*"|[^\s;"']*)(?:;[ ]?[^\s;,="']+(?:=(?:"[^"\n]*"|[^\s;"']*))?)*"""
)
_COOKIE_NAME: Final = re.compile(r"""[^\s;,="']{1,128}=(?=[^\s;])""")

# Plain values, which are kept: a missing value, a sentence, a variable, a file path, a source line of a stack trace.
_END: Final = r"""(?=[.!?]?(?:\s|$|\\?["'`,;&)\]}<]|\[redacted\]))"""
_PLACEHOLDERS: Final = (
    "none|null|nil|true|false|undefined|empty|missing|required|optional|invalid|expired|revoked|unset|enabled|disabled"
    "|ok|failed|denied|rejected|forbidden|unauthorized|wrong|incorrect|default|unknown|yes|no|on|off|n/a|redacted"
    "|bearer|basic|digest|oauth2?|ldap|include|omit|same-origin|str|string|bytes|int|bool|any|list|dict"
)
_BEGINS_MESSAGE: Final = (
    "this|field|value|input|may|must|should|missing|required|not|cannot|can't|is|expected|ensure|string|please|enter"
    "|too"
)
_BEGINS_PROSE: Final = (
    rf"{_BEGINS_MESSAGE}|the|a|an|are|was|has|await|unexpected|header|token|scheme|credentials?|auth|authentication"
    "|and|at|for|in|of|or"
)
_PLAIN: Final = rf"""
      (?:{_PLACEHOLDERS}){_END}
    | [^\w\s]{{1,64}}(?=\s|$)                                   # *****
    | \$?\{{{{1,2}}[\w. ]{{0,64}}\}}{{1,2}} | %\(?\w{{0,32}}\)?[sdr]{_END} | <[\w|/ -]{{0,40}}>
    | (?: /(?:app|data|dev|etc|home|mnt|opt|proc|root|run|srv|tmp|usr|var)/ | ~/ | \.{{1,2}}/ )[\w./@+-]{{0,256}}{_END}
    | https?://                                                 # its secrets are found as those of a URL
"""
_PLAIN_BARE: Final = re.compile(
    rf"""
      {_PLAIN}
    | (?:{_BEGINS_PROSE})(?![\w=-])
    | [a-z_]{{1,64}}+(?:\.[a-z_]{{1,64}}+){{0,8}}+[(\[{{]              # a call, or an item
    | (?:args|cfg|cls|config|env|environ|kwargs|os|request|self|settings|tokenizer)\.
    | [\[(]\s{{0,4}}-?[0-9][0-9.]{{0,16}}\s{{0,4}}[,\])]
    | [\[(]["'](?:{_BEGINS_MESSAGE})[ ]
    | \(\) | \[\] | \{{\}}
    """,
    re.VERBOSE,
)
_PLAIN_IN_QUOTES: Final = re.compile(rf"{_PLAIN} | (?:{_BEGINS_MESSAGE})[ ]", re.VERBOSE)
_SMALL: Final = re.compile(rf"(?:[0-9.,:/-]{{1,9}}(?:[mun]?s|%)?|[^\s\"'`,;&()\[\]{{}}<>]{{1,5}}){_END}")
_NUMBER: Final = re.compile(rf"[0-9]{{1,9}}{_END}")
_MADE_UP: Final = re.compile(
    r"(?!base|sha|md5|utf|aes|bcrypt|argon)(?=[^\s0-9]{0,64}[0-9])(?=[^\sa-z]{0,64}[a-z])\S{6}"
)


def looks_random(lowered: str, at: int) -> bool:
    """Return whether the text at *at* mixes letters and digits, which is rare in prose."""
    return _MADE_UP.match(lowered, at) is not None


def is_quoted(lowered: str, at: int) -> bool:
    """Return whether a quotation starts at *at*."""
    return _QUOTE.match(lowered, at) is not None


def find_value(lowered: str, at: int, name: Name) -> Span | None:
    """Return the span of the value of *name* that starts at *at*, or None for a plain value."""
    quote = _QUOTE.match(lowered, at)
    opens = quote.end() if quote else at
    begins = _skip_prefix(lowered, opens, name)
    if _is_plain(lowered, begins, name, in_quotes=quote is not None):
        return None
    if quote:
        return begins, _find_quote_end(lowered, begins, quote["mark"])
    if lowered.startswith(("(", "[", "{"), begins):
        return begins, _find_bracket_end(lowered, begins)
    if name.word.core == "cookie" and begins == opens and (cookies := _COOKIES.match(lowered, begins)):
        return begins, cookies.end()
    ends = _match_end(_BARE, lowered, begins)
    return begins, _match_end(_PARAMETERS, lowered, ends) if name.word.core == "authorization" else ends


def _skip_prefix(lowered: str, at: int, name: Name) -> int:
    """Return the start of the secret: after a scheme, or after the name in a Set-Cookie header."""
    if name.word.core == "authorization":
        return _match_end(_SCHEME, lowered, at)
    if name.word.core == "cookie" and lowered.endswith(("set-", "set_"), 0, name.start):
        return _match_end(_COOKIE_NAME, lowered, at)
    return at


def _is_plain(lowered: str, at: int, name: Name, *, in_quotes: bool) -> bool:
    confidence = name.word.confidence
    if (_PLAIN_IN_QUOTES if in_quotes else _PLAIN_BARE).match(lowered, at):
        return True
    if confidence is not Confidence.HIGH and _SMALL.match(lowered, at):
        return True
    if confidence is Confidence.LOW and not in_quotes and not lowered.startswith(("(", "[", "{"), at):
        return not looks_random(lowered, at)
    is_plural = lowered.startswith("s", name.end - 1)
    return is_plural and _NUMBER.match(lowered, at) is not None


def _find_quote_end(lowered: str, at: int, mark: str) -> int:
    """Return the position of the closing quote, or the end of the line in a truncated text."""
    if mark in _IN_QUOTES:
        return _match_end(_IN_QUOTES[mark], lowered, at)
    closes = lowered.find(mark, at)
    return closes if closes >= 0 else _match_end(_REST_OF_LINE, lowered, at)


def _find_bracket_end(lowered: str, at: int) -> int:
    """Return the end of the bracket at *at*, or the end of the line if it does not close."""
    depth = 0
    for bracket in _BRACKET.finditer(lowered, at, at + _BRACKETED_LIMIT_CHARACTERS):
        depth += 1 if bracket.group() in "([{" else -1
        if not depth:
            return bracket.end()
    return _match_end(_REST_OF_LINE, lowered, at)


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
