"""Credentials recognisable by their shape: issued tokens, JWTs, private keys, ``Bearer …``."""

import base64
import binascii
import re
from typing import Final

from inferlog.redaction.spans import Span

# Prefixes of each issuer's tokens, with the minimum length to recognise one. The rest of the run is redacted too.
_ISSUED: Final = (
    r"sk-[\w-]{0,40}?[A-Za-z0-9_]{16}",  # OpenAI, Anthropic, OpenRouter, DeepSeek, LiteLLM, Langfuse
    r"[rs]k_(?:live_|test_|prod_)?[A-Za-z0-9]{16} | whsec_[A-Za-z0-9]{16}",  # Stripe, ElevenLabs
    r"(?:hf|api_org)_[A-Za-z0-9]{20}",  # Hugging Face
    r"gsk_[A-Za-z0-9]{20} | (?:xai|pplx|nvapi|tvly|csk|jina)[_-][\w-]{20} | (?:r8|pcsk)_\w{20}",  # Groq, xAI, NVIDIA, …
    r"lsv2_[ps][tk]_\w{16} | (?:sntr[yu]s|sntryu|lin_api|lin_oauth|ntn|figd)_[\w-]{16}",  # LangSmith, Sentry, Linear, …
    r"gh[opsru]_[A-Za-z0-9]{20} | github_pat_\w{20}",
    r"gl(?:agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rt|soat|wt)-[\w-]{16} | GR1348941[\w-]{16}",  # GitLab
    r"xox[a-z](?:\.xox[a-z])?-[\w-]{10} | xapp-[0-9]-[\w-]{10}",  # Slack
    r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9]) | ABSK[A-Za-z0-9]{15} | bedrock-api-key-\w{16}",  # AWS
    r"AIza[\w-]{30} | ya29\.[\w-]{16} | GOCSPX-[\w-]{16} | (?<=1//)0[\w-]{40}",  # Google
    r"[\w~.-]{3}[0-9]Q~[\w~.-]{31} | LTAI[A-Za-z0-9]{16}",  # Azure, Alibaba
    r"npm_[A-Za-z0-9]{30} | pypi-[\w-]{40} | rubygems_[0-9a-f]{40} | dckr_[op]at_[\w-]{20}",
    # SendGrid, Mailgun, Twilio, Brevo
    r"SG\.[\w-]{16,64}\.[\w-]{16} | key-[0-9a-f]{32} | SK[0-9a-f]{32}(?![0-9A-Za-z]) | xkeysib-[\w-]{20}",
    r"(?<=[0-9]:)AA[\w-]{33}",  # Telegram
    r"hv[bsr]\.[\w-]{20} | gl(?:sa|c)_[\w-]{20} | do[opr]_v1_[0-9a-f]{20} | dapi[0-9a-f]{32}",  # Vault, Grafana, …
    r"dp\.[a-z]{2,5}\.[A-Za-z0-9]{20} | shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{20} | essu_\w{20}",  # Doppler, Shopify, Elastic
    r"AT(?:ATT3|BB)[\w-]{20} | NRAK-[A-Z0-9]{20} | PMAK-[\w-]{20} | pul-[0-9a-f]{40} | HRKU-[\w-]{20}",
    r"(?:pscale_(?:tkn|pw|oauth)|sb_secret|sbp|nfp|fo1|sgp|rdme|tfp|pnu)_[\w-]{20} | sha256~[\w-]{40}",
    r"AGE-SECRET-KEY-1[A-Z0-9]{20}",
)
_SHORTEST_CHARACTERS: Final = 19
_KNOWN: Final = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_ISSUED)})", re.VERBOSE)
_MORE: Final = re.compile(r"[A-Za-z0-9_+/=~-]*(?:\.[A-Za-z0-9_+/=~-]+)*")
# Searched only near the start of a run, to stay linear on a text with many starts.
_JWT: Final = re.compile(r"(?<![\w-])(?:[\w-]{0,64}?(?<![A-Za-z0-9]))?(?P<token>eyJ[\w-]{10,}\.[\w-]{8,}(?:\.[\w-]+)*)")
# An AWS secret key has no shape of its own; it is recognised after its key id.
_AWS_ID: Final = re.compile(r"A(?:KIA|SIA)")
_AWS_SECRET: Final = re.compile(r"""[\s:,;/|"']{1,4}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])""")

_IN_TOKEN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.~"
_MARKED: Final = bytes(120 if character in _IN_TOKEN else 32 for character in range(256))  # "x" or " "
_LONG_RUN: Final = b"x" * _SHORTEST_CHARACTERS


_BEARER: Final = re.compile(
    r"""(?<![a-z0-9])bearer(?:[ \t\xa0]{1,4}|["']?[ ]?[:=][ ]?["']?)(?P<credential>[a-z0-9._~+/-]{8,}=*)""",
    re.ASCII | re.IGNORECASE,
)
_BASIC: Final = re.compile(
    r"(?<![a-z0-9])basic[ \t\xa0]{1,4}(?P<credential>[a-z0-9+/]{6,}=*)", re.ASCII | re.IGNORECASE
)
# Continuation of a sentence, "Bearer authentication failed", or of a challenge: Bearer authorization_uri="…".
_WORD: Final = re.compile(r"[A-Za-z]?[a-z/-]{0,18}|[A-Z/-]{0,19}|[a-z_]+=")
_PARAMETER: Final = r"""[\w-]{1,32}=(?:"[^"\n]*"|[^\s,"]+)"""
_DIGEST: Final = re.compile(
    rf"digest[ \t\xa0]{{1,4}}(?P<credential>{_PARAMETER}(?:,[ ]{{0,4}}{_PARAMETER})*)", re.ASCII | re.IGNORECASE
)
# curl -u app:…, also in a list of arguments. In other commands a group follows the user: docker run -u 1000:1000.
_CURL_OPTION: Final = re.compile(
    r"""(?<=[\s"'])(?:-[uU]|--(?:proxy-)?user)(?:[ =]{1,4}|\\{0,4}["'],\s{0,4})"""
    r"""\\{0,4}(?P<quote>["'])?[^\s:"'@/\\]{1,64}:(?P<credential>(?(quote)(?:(?!\\{0,4}(?P=quote))[^\n])+|[^\s"']+))"""
)
_COMMAND_LIMIT_CHARACTERS: Final = 300

_PRIVATE_KEY: Final = re.compile(r"-{4,5}[ ]?(?P<edge>BEGIN|END)[ ][A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?[ ]?-{4,5}")
_INSIDE_KEY: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\ \t\r\n"


def find_issued_tokens(text: str) -> list[Span]:
    """Return the spans of tokens with a known issuer's prefix."""
    # One byte per character, so that a long enough run of token characters is found by a plain search.
    marked = text.encode("latin-1", "replace").translate(_MARKED)
    spans: list[Span] = []
    start = marked.find(_LONG_RUN)
    while start >= 0:
        end = marked.find(b" ", start)
        end = len(marked) if end < 0 else end
        if known := _KNOWN.search(text, start, end):
            end = _find_end_of_token(text, known)
            spans.append((known.start(), end))
        start = marked.find(_LONG_RUN, end)
    return spans


def _find_end_of_token(text: str, known: re.Match[str]) -> int:
    more = _MORE.match(text, known.end())
    end = more.end() if more else known.end()
    secret = _AWS_SECRET.match(text, end) if _AWS_ID.match(text, known.start()) else None
    return secret.end() if secret else end


def find_jwts(text: str, lowered: str) -> list[Span]:
    """Return the spans of JWTs, signed or encrypted."""
    return [match.span("token") for match in _JWT.finditer(text)] if "eyj" in lowered else []


def find_http_credentials(text: str, lowered: str) -> list[Span]:
    """Return the spans of credentials after an HTTP authentication scheme, with or without the header."""
    found: list[re.Match[str]] = []
    if "bearer" in lowered:
        found += (match for match in _BEARER.finditer(text) if not _WORD.fullmatch(match["credential"]))
    if "basic" in lowered:
        found += (match for match in _BASIC.finditer(text) if _is_user_and_password(match["credential"]))
    if "digest" in lowered:
        found += _DIGEST.finditer(text)
    if "curl" in lowered:
        found += (match for match in _CURL_OPTION.finditer(text) if _follows_curl(lowered, match.start()))
    return [match.span("credential") for match in found]


def _follows_curl(lowered: str, at: int) -> bool:
    return lowered.find("curl", max(0, at - _COMMAND_LIMIT_CHARACTERS), at) >= 0


def _is_user_and_password(credential: str) -> bool:
    """Return whether *credential* is ``name:password`` in base 64, as sent by basic authentication, and not a word."""
    unpadded = credential.rstrip("=")
    try:
        return b":" in base64.b64decode(unpadded + "=" * (-len(unpadded) % 4))
    except binascii.Error:
        return False  # a length that no encoder produces


def find_private_keys(text: str, lowered: str) -> list[Span]:
    """Return the spans of PEM private keys, also of those without their beginning or end."""
    if "private key" not in lowered:
        return []
    spans: list[Span] = []
    begins: int | None = None
    done = 0
    for edge in _PRIVATE_KEY.finditer(text):
        if edge["edge"] == "BEGIN":
            begins = edge.start() if begins is None else begins
            continue
        if begins is None:
            begins = done + len(text[done : edge.start()].rstrip(_INSIDE_KEY))
        done = edge.end()
        spans.append((begins, done))
        begins = None
    return spans if begins is None else [*spans, (begins, len(text))]
