"""How other commands start the shipper."""

from pathlib import Path

from inferlog_ops.core.children import python_module


def ship_command(*, logs: Path, state: Path, namespace: str) -> list[str]:
    """Return the command that ships what stands in *logs*; where to, its environment says."""
    return [
        *python_module("inferlog_ops.cli.main", "ship"),
        *("--from", str(logs), "--state", str(state), "--namespace", namespace),
    ]
