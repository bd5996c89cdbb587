"""Values assigned to secret names in a text: ``password=…``, ``"apiKey": "…"``, ``--token …``, ``<secret>…``."""

import re
from typing import Final

from inferlog.redaction.names import Confidence, Name, Words, find_secret_names
from inferlog.redaction.spans import Span
from inferlog.redaction.values import find_value, is_quoted, looks_random

# Every repetition is bounded, or ends at the end of the value and is not scanned again.
_COLOUR: Final = r"(?:\x1b\[[0-9;]{0,8}m)?"  # terminal colour
_MESSAGE: Final = r"""(?: "[^"\n]{0,300}" | '[^'\n]{0,300}' )"""
_ASSIGNS: Final = re.compile(
    rf"""
      (?: [ ](?:provided|given|used|supplied|header|hash) )?    # Incorrect API key provided: …
      (?: \\{{0,4}}["'`] | &quot; )? \]? {_COLOUR}              # the name's closing quote, or headers["…"]
      [ \t]{{0,8}}
      (?: [-=]> | := | [=!]==? | = | [:\uff1a](?!:)
          (?: [ ]?(?:str|bytes|secretstr|optional\[str\]|str[ ]\|[ ]none)[ ]?= )?     # password: str = …
      )
      [ \t]{{0,8}} {_COLOUR}
    | \\{{0,4}} (?: ["']?[,;]?\s{{1,40}} | ["'], )               # name: DB_PASSWORD, value: …
      \\{{0,4}} ["']?value\\{{0,4}}["']?[ ]?[:=][ ]?
    # Input rejected by pydantic, in its text and in its error dicts.
    | \n[ ]{{2}}(?!field[ ]required)[^\n]{{0,400}}?[ ]input_value=
    | ["'][)\]],[ ]?["']msg["']:[ ]?(?!["']field[ ]required){_MESSAGE},[ ]?["']input["']:[ ]?
    """,
    re.VERBOSE,
)
# YAML with the value on the next line; a plain one must be a single word.
_NEXT_LINE: Final = re.compile(
    r"""["']?:(?P<block>[ ]?[|>][-+0-9]{0,2}[ ]{0,4})?\r?\n[ \t]{1,40}"""
    r"""(?(block)|(?=[^\s:]{1,128}[ \t]{0,4}(?:[\r\n]|$)))"""
)
_OPENS_PAIR: Final = re.compile(r"""[(\[]\s{0,40}b?\\{0,4}["']\Z""")
_PAIR: Final = re.compile(r"""\\{0,4}["'],\s{0,40}(?=b?\\{0,4}["'](?P<value>[^"'\\]{0,64})|[(\[])""")
# An option's value on a command line, or in a list of arguments; TOKEN in [--token TOKEN] is a placeholder.
_OPTION: Final = re.compile(r"""(?:["'],[ ]{0,4}(?=["'][^-])|[ ]{1,4}(?=[^\s-]))(?![A-Z][A-Z_]{1,32}(?:[\s\],]|$))""")
_COOKIE: Final = re.compile(r"[ ](?=[\w.-]{1,64}=)")
_STATED: Final = re.compile(r"[ ]{1,4}(?P<verb>(?:is|was)[ ]{1,4})?")

_OPENS_ELEMENT: Final = re.compile(r"<(?:[a-z][\w.-]{0,30}:)?\Z")
_ELEMENT: Final = re.compile(
    r"(?:\s[^<>]{0,256}(?<!/))?>(?P<cdata>\s{0,40}<!\[cdata\[)?"
    r"(?P<value>(?(cdata).{1,1024}?(?=\]\]>)|[^<>]{1,1024}(?=</)))",
    re.DOTALL,
)
_ENCODED: Final = re.compile(
    r"(?:%22|%27)?(?:%20|\+)?%3[ad](?:%20|\+)?(?:%22|%27)?"
    r"(?P<value>[^\s&\"'<>%]*(?:%(?!22|26|27|2c|3b|7d)[^\s&\"'<>%]*)*)"
)

_NAME_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789_-."
_NAME_LIMIT_CHARACTERS: Final = 40
_OPENING_LIMIT_CHARACTERS: Final = 48


def find_assigned_values(text: str, lowered: str, words: Words) -> list[Span]:
    """Return the spans of the values of secret names in *text*; *lowered* is *text* in lower case."""
    spans: list[Span] = []
    done = 0
    for name in sorted(find_secret_names(lowered, words), key=lambda name: name.start):
        if name.start < done:
            continue  # part of a value already found
        span = _find_value(text, lowered, name, words)
        if span is not None and span[0] < span[1]:
            spans.append(span)
            done = span[1]
    return spans


def _find_value(text: str, lowered: str, name: Name, words: Words) -> Span | None:
    """Return the span of the value of *name*, found by the text between and before them."""
    left = lowered[max(0, name.start - _NAME_LIMIT_CHARACTERS) : name.start]
    begins = name.start - len(left) + len(left.rstrip(_NAME_CHARACTERS))
    before = lowered[max(0, begins - _OPENING_LIMIT_CHARACTERS) : begins]
    whole = _ENCODED.match(lowered, name.end) or (
        _ELEMENT.match(lowered, name.end) if _OPENS_ELEMENT.search(before) else None
    )
    if whole:
        return whole.span("value")
    if (line := _NEXT_LINE.match(lowered, name.end)) and (line["block"] or looks_random(lowered, line.end())):
        return find_value(lowered, line.end(), name)
    if assigns := _ASSIGNS.match(lowered, name.end):
        is_host_with_port = before.endswith("//")
        return None if is_host_with_port else find_value(lowered, assigns.end(), name)
    if (pair := _PAIR.match(lowered, name.end)) and _OPENS_PAIR.search(before):
        return None if pair["value"] and _is_name(pair["value"], words) else find_value(lowered, pair.end(), name)
    if lowered.startswith("-", begins) and (option := _OPTION.match(text, name.end)):
        return find_value(lowered, option.end(), name)
    stated_at = _find_stated_value(lowered, name)
    return None if stated_at is None else find_value(lowered, stated_at, name)


def _is_name(value: str, words: Words) -> bool:
    """Return whether *value* is itself a secret name: ``("token", "refresh_token")`` lists names."""
    return any(found.end == len(value) for found in find_secret_names(value, words))


def _find_stated_value(lowered: str, name: Name) -> int | None:
    """Return the start of a value in prose, ``the password is …``, if it looks random; most sentences have none."""
    if name.word.core == "cookie" and (cookie := _COOKIE.match(lowered, name.end)):
        return cookie.end()
    stated = _STATED.match(lowered, name.end)
    if stated is None or name.word.confidence is Confidence.LOW:
        return None
    if not stated["verb"] and name.word.core not in {"pass", "key"}:
        return None
    is_value = looks_random(lowered, stated.end()) or (name.word.core == "pass" and is_quoted(lowered, stated.end()))
    return stated.end() if is_value else None
