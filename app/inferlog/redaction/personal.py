"""Personal data in a text: e-mail addresses, and card and bank account numbers with valid check digits."""

import re
from typing import Final

from inferlog.redaction.spans import Span

_LOCAL_LIMIT_CHARACTERS: Final = 64
_LOCAL_BACKWARDS: Final = re.compile(r"[\w.+%~-]{0,63}\w")
_DOMAIN: Final = re.compile(
    r"(?:\w[\w-]{0,62}\.){1,8}"
    # logo@2x.png, getty@tty1.service and hidden@self.weight.T(…) are not addresses.
    r"(?!(?:gif|jpe?g|js|json|png|py|service|socket|svg|timer|webp)\b)"
    r"(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})(?![\w(\[-])",
    re.IGNORECASE,
)

# Digits as "0", all else as "-", so that a long enough run of digits is found by a plain search.
_DIGITS_MARKED: Final = bytes(48 if 48 <= character <= 57 else 45 for character in range(256))
_SHORTEST_CARD: Final = b"0" * 13
_FEWEST_IN_IBAN: Final = b"0" * 10
# Card numbers, unseparated or in common groups. Timestamps start with 1 and do not match; -4… is a negative number.
_CARD: Final = re.compile(
    r"[2-6](?<![\w.][2-6])(?<![^A-Za-z]-[2-6])"
    r"(?:[0-9]{12,18}|[0-9]{3}(?P<by>[ -])[0-9]{4}(?P=by)[0-9]{4}(?P=by)[0-9]{4}(?:(?P=by)[0-9]{3})?"
    r"|[0-9]{3}(?P<of>[ -])[0-9]{6}(?P=of)[0-9]{4,5})"
    r"(?!\w|[.-][0-9])"
)
_ISSUER: Final = re.compile(
    r"4(?:.{12}|.{15})$|5[1-5].{14}$|2(?:22[1-9]|2[3-9].|[3-6]..|7[01].|720).{12}$|3[47].{13}$"
    r"|3(?:0[0-5]|[68].).{11}$|35(?:2[89]|[3-8].).{12}$|6(?:011|4[4-9].|5..).{12}$|62.{14,17}$"
)
_IBAN_BEGINS: Final = re.compile(r"[A-Z]{2}(?<![A-Za-z0-9][A-Z]{2})[0-9]{2}(?=[ ]?[A-Z0-9])")
_IBAN_LENGTHS: Final = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2})([0-9]{2})",
        """
        AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18
        FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20
        LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24
        SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
        """,
    )
}


def find_email_addresses(text: str, lowered: str) -> list[Span]:
    """Return the spans of e-mail addresses, also as ``name%40host.org``. ``user@host`` without a dot does not match."""
    spans: list[Span] = []
    for at_sign in ("@", "%40"):
        at = text.find(at_sign)
        while at >= 0:
            domain = _DOMAIN.match(text, at + len(at_sign))
            if domain and (begins := _find_local_part(text, lowered, at)) < at:
                spans.append((begins, domain.end()))
            at = text.find(at_sign, at + 1)
    return spans


def _find_local_part(text: str, lowered: str, at: int) -> int:
    """Return the start of the part before the at sign; *at* if there is none, or if it belongs to a URL."""
    scheme_ends = text.rfind("://", max(0, at - 256), at)
    if scheme_ends >= 0 and text.find("/", scheme_ends + 3, at) < 0 and not re.search(r"\s", text[scheme_ends:at]):
        return at
    local = _LOCAL_BACKWARDS.match(text[max(0, at - _LOCAL_LIMIT_CHARACTERS) : at][::-1])
    begins = at - local.end() if local else at
    return at if lowered.startswith("git@", begins) else begins


def find_account_numbers(text: str) -> list[Span]:
    """Return the spans of valid card numbers (Luhn) and international bank account numbers (mod 97)."""
    digits = text.encode("ascii", "replace").translate(_DIGITS_MARKED, b" -")
    spans: list[Span] = []
    if _FEWEST_IN_IBAN in digits:
        spans += [span for begins in _IBAN_BEGINS.finditer(text) if (span := _find_iban(text, begins.start()))]
    if _SHORTEST_CARD in digits:
        spans += [card.span() for card in _CARD.finditer(text) if _is_card(re.sub("[ -]", "", card.group()))]
    return spans


def _is_card(number: str) -> bool:
    if not _ISSUER.match(number):
        return False
    doubled = (int(digit) * 2 for digit in number[-2::-2])
    return (sum(map(int, number[-1::-2])) + sum(value - 9 if value > 9 else value for value in doubled)) % 10 == 0


def _find_iban(text: str, start: int) -> Span | None:
    length = _IBAN_LENGTHS.get(text[start : start + 2], 0)
    number = ""
    end = start
    while len(number) < length and end < len(text) and (text[end].isalnum() or text[end] == " "):
        number += text[end].strip()
        end += 1
    if not length or len(number) < length or not number.isascii() or text[end : end + 1].isalnum():
        return None
    rearranged = "".join(str(int(character, 36)) for character in number[4:] + number[:4])
    return (start, end) if int(rearranged) % 97 == 1 else None
