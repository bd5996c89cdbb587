"""Redaction of free text: it terminates, adds nothing, and is idempotent."""

import json
from contextlib import ExitStack
from pathlib import Path

from inferlog.redaction import REDACTED, USUAL, build_secrets, is_credential, is_secret_name, redact

LONGEST_BYTES = 1_000
_CORPUS = Path(__file__).parents[1] / "inferlog" / "redaction"
SEEDS = tuple(
    json.loads(row)["text"].replace("¦", "").encode("utf-8", "surrogatepass")
    for name in ("must_go.jsonl", "must_stay.jsonl")
    for row in (_CORPUS / name).read_text(encoding="utf-8").splitlines()
)
resources = ExitStack()
_OWN = build_secrets(["badge_number"], [r"EMP-\d{6}"])


def check(data: bytes) -> None:
    """Redact a text with lone surrogates in place of invalid bytes."""
    text = data.decode("utf-8", "surrogateescape")
    for secrets in (USUAL, _OWN):
        redacted = redact(text, secrets)
        assert redact(redacted, secrets) == redacted, "a second reading finds more"
        assert len(redacted) <= 3 * len(text)
        _check_is_part_of(redacted, text)
        is_secret_name(text, secrets)
    is_credential(text)


def _check_is_part_of(redacted: str, text: str) -> None:
    """Check that the text around the secrets is unchanged and in order."""
    at = 0
    for part in redacted.split(REDACTED):
        found = text.find(part, at)
        assert found >= 0, "the output contains new text"
        at = found + len(part)
