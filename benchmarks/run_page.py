"""Page of a run: the findings of all its benchmarks."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import orjson

from benchmarks.benchmark_process import Finding
from benchmarks.machine import Machine


@dataclass(slots=True, kw_only=True)
class RunPage:
    """
    One run of ``scripts/bench``.

    Attributes:
        machine: Machine of the run.
        began: Start; timezone-aware.
        findings: Finding of each benchmark, in order.
        left_out: Names of the benchmarks not run, after an interruption.
    """

    machine: Machine
    began: datetime
    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def render(self, *, markdown: bool) -> str:
        """Return the page as text; the answers are in this format already."""
        heading = "## " if markdown else "== "
        parts = [f"{self.began:%Y-%m-%d %H:%M} UTC, {self.machine.format_line()}"]
        for finding in self.findings:
            parts += [
                f"{heading}{finding.name}",
                _format_circumstances(finding),
                finding.answer.strip(),
                finding.failure or "",
            ]
        return "\n\n".join(part for part in parts if part)

    def build_json(self) -> dict[str, Any]:
        """Return the page as plain data; the answers are JSON."""
        return {
            "began": self.began,
            "machine": asdict(self.machine),
            "benchmarks": [{**asdict(finding), "answer": _read(finding.answer)} for finding in self.findings],
            "left_out": self.left_out,
        }


def _read(answer: str) -> Any:
    """Return *answer* as JSON; None if it is incomplete."""
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None


def _format_circumstances(finding: Finding) -> str:
    return (
        f"`{finding.command}`: {finding.seconds:.0f} s, load {finding.load_before:.1f} before "
        f"and {finding.load_after:.1f} after"
    )
