"""How many users of which classes a real Locust starts."""

import json
from pathlib import Path

import pytest

from tests.support import locust_runs


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ("--rate", 0.2),
            {
                "SteadyChat": 8,
                "StreamingChat": 6,
                "BurstChat": 2,
                "CanaryChat": 2,
                "MalformedChat": 1,
                "LeavingChat": 1,
                "LongChat": 1,
            },
        ),
        (("--rate", 1, "SteadyChat", "CanaryChat"), {"SteadyChat": 8, "CanaryChat": 2}),
    ],
)
def test_callers_of_all_classes_come_at_any_rate(
    options: tuple[object, ...], expected: dict[str, int], tmp_path: Path
) -> None:
    nobody = "http://127.0.0.1:9"
    said = locust_runs.run(tmp_path, "--host", nobody, "--duration", 2, "--exit-code-on-error", 0, *options).said
    users = said.partition("All users spawned: ")[2].partition(" (")[0]
    assert json.loads(users) == expected
