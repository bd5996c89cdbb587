"""Free text, through redaction: it ends, says nothing new, and finds nothing more in what it has read."""

import json
from contextlib import ExitStack
from pathlib import Path

from inferlog.redaction import REDACTED, USUAL, is_credential, names_a_secret, redact, secrets_with

LONGEST_BYTES = 1_000
_CORPUS = Path(__file__).parents[1] / "inferlog" / "redaction"
SEEDS = tuple(
    json.loads(row)["text"].replace("¦", "").encode("utf-8", "surrogatepass")
    for name in ("must_go.jsonl", "must_stay.jsonl")
    for row in (_CORPUS / name).read_text(encoding="utf-8").splitlines()
)
resources = ExitStack()
_OWN = secrets_with(["badge_number"], [r"EMP-\d{6}"])


def check(data: bytes) -> None:
    """Take a text, with half a surrogate pair where bytes are none."""
    text = data.decode("utf-8", "surrogateescape")
    for secrets in (USUAL, _OWN):
        redacted = redact(text, secrets)
        assert redact(redacted, secrets) == redacted, "a second reading finds more"
        assert len(redacted) <= 3 * len(text)
        _check_is_part_of(redacted, text)
        names_a_secret(text, secrets)
    is_credential(text)


def _check_is_part_of(redacted: str, text: str) -> None:
    """Check that what stands around the secrets stood there before, in that order."""
    at = 0
    for part in redacted.split(REDACTED):
        found = text.find(part, at)
        assert found >= 0, "it says what the text did not"
        at = found + len(part)
