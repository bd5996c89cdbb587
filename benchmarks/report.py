"""What a run of benchmarks found, on one page."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import orjson

from benchmarks.machine import Machine
from benchmarks.run import Finding


@dataclass(slots=True, kw_only=True)
class Page:
    """
    One run.

    Attributes:
        machine: What it ran on.
        began: When; timezone-aware.
        findings: What each benchmark answered, in their order.
        left_out: Names of those that were not done, because the run was interrupted.
    """

    machine: Machine
    began: datetime
    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def as_text(self, *, markdown: bool) -> str:
        """Return the page for a person; the answers in it are in that form already."""
        heading = "## " if markdown else "== "
        parts = [f"{self.began:%Y-%m-%d %H:%M} UTC, {self.machine.line()}"]
        for finding in self.findings:
            parts += [
                f"{heading}{finding.name}",
                _circumstances(finding),
                finding.answer.strip(),
                finding.failure or "",
            ]
        return "\n\n".join(part for part in parts if part)

    def as_json(self) -> dict[str, Any]:
        """Return the page for a program; the answers are JSON."""
        return {
            "began": self.began,
            "machine": asdict(self.machine),
            "benchmarks": [{**asdict(finding), "answer": _read(finding.answer)} for finding in self.findings],
            "left_out": self.left_out,
        }


def _read(answer: str) -> Any:
    """Return *answer* as JSON; None if there is none, as of a benchmark that broke off."""
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None


def _circumstances(finding: Finding) -> str:
    return (
        f"`{finding.command}`: {finding.seconds:.0f} s, load {finding.load_before:.1f} before "
        f"and {finding.load_after:.1f} after"
    )
