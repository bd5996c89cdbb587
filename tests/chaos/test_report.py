"""Report of a trial."""

import pytest
from rich.console import Console

from tests.chaos import report
from tests.chaos.account import Account
from tests.chaos.evidence import Evidence, Traffic
from tests.chaos.fault_list import find_trial
from tests.chaos.scenario import TrialResult

RESULT = TrialResult(
    trial=find_trial("kill-worker+disk-full-service"),
    seen=Evidence(
        account=Account(
            written=1_234,
            found=1_230,
            lost=0,
            lost_by_removal=0,
            duplicated=0,
            dead_lettered=4,
            twice_a_letter=0,
            unknown=0,
        ),
        on_disk={},
        dropped={"a": 330},
        dropped_at_first={},
        removed={},
        reported={"a": 330},
        heartbeats={},
        complaints=1,
        dead_lines=4,
        wrong_letters=0,
        caught_up_seconds=0.4,
        traffic=Traffic(
            sent=1_501,
            answered=1_497,
            failed=1,
            without_event=0,
            p99_before_seconds=0.059,
            p99_during_seconds=4.356,
        ),
    ),
    broken=[],
)


def _render_table(width: int) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(report.build_table([RESULT]))
    return captured.get()


@pytest.mark.parametrize("width", [100, 160])
def test_narrow_table_keeps_all_cells(width: int) -> None:
    assert "…" not in _render_table(width)


def test_table_in_a_file_has_all_figures() -> None:
    table = _render_table(160)
    for figure in ("1,501", "1,497", "1,234", "1,230", "4", "330", "59", "4,356", "0.4", "kept"):
        assert figure in table


def test_table_shows_sent_and_answered_requests() -> None:
    header, _, row = report.render_markdown([RESULT]).splitlines()
    shown = dict(zip(header.strip("| ").split(" | "), row.strip("| ").split(" | "), strict=True))
    assert (shown["fault"], shown["sent"], shown["answered"]) == ("kill-worker+disk-full-service", "1,501", "1,497")
    plain = report.build_json(RESULT)
    assert (plain["requests_sent"], plain["requests_answered"], plain["requests_failed"]) == (1_501, 1_497, 1)
