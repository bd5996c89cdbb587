"""``scripts/chaos`` end to end, on real processes."""

import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import psutil
import pytest

from tests.support.commands import begin_module, run_module

TELLING = ("kill-shipper+kill-engine", "read-only-logs", "deleted-file")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Folder that the user nobody can write to: chaos runs as nobody if started by root."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.timeout(400)
def test_chaos_loses_and_duplicates_nothing_under_the_most_important_faults() -> None:
    chosen = [argument for name in TELLING for argument in ("--fault", name)]
    done = run_module("tests.chaos", *chosen, "--seconds", "3", "--json", timeout_seconds=390)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = {each["fault"]: each for each in orjson.loads(done.stdout)["trials"]}
    assert list(trials) == list(TELLING)
    for each in trials.values():
        assert each["broken"] == []
        assert each["duplicated"] == 0
        assert each["written"] == each["found"] + each["dead_lettered"] + each["lost_by_removal"] > 100
    assert trials["read-only-logs"]["dropped"] == trials["read-only-logs"]["reported_lost"] > 0
    assert trials["deleted-file"]["lost_by_removal"] == trials["deleted-file"]["reported_lost"] > 0
    assert trials["kill-shipper+kill-engine"]["lost"] == 0


@pytest.mark.timeout(200)
def test_signal_ends_all_started_processes(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(open_folder))
    with begin_module("tests.chaos", "--fault", "no-fault", "--seconds", "600") as process:
        assert process.stderr is not None
        giving_up = threading.Timer(150, process.kill)
        giving_up.start()
        for line in process.stderr:
            if "no-fault: the fault" in line:
                break
        assert len(_find_processes(open_folder)) >= 4, "engine, service, shipper and load"
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        giving_up.cancel()
    assert process.returncode == 130
    assert "not done: no-fault" in said
    assert _find_processes(open_folder) == []
    assert list(open_folder.iterdir()) == []


def _find_processes(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if str(folder) in str(process.info["cmdline"])]


@pytest.mark.parametrize("number", ["nan", "inf", "0"])
@pytest.mark.parametrize("option", ["--seconds", "--rate"])
def test_chaos_rejects_invalid_numbers_before_it_starts_processes(option: str, number: str) -> None:
    done = run_module("tests.chaos", "--fault", "kill-engine", option, number)
    assert done.returncode == 2
    assert f"Invalid value for '{option}'" in done.stderr


def test_chaos_rejects_unknown_fault_in_one_sentence() -> None:
    done = run_module("tests.chaos", "--fault", "kill-nothing")
    assert done.returncode == 2
    assert done.stderr == "scripts/chaos: there is no fault 'kill-nothing'; did you mean kill-engine?\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--full", "--fault", "kill-engine"], "--full and --fault are both given; expected one of them"),
        (["--json", "--markdown"], "--json and --markdown are both given; expected one of them"),
        (["--seconds", "5"], "--seconds needs --fault: it is the duration of the faults named"),
    ],
)
def test_chaos_rejects_contradictory_options(options: list[str], sentence: str) -> None:
    done = run_module("tests.chaos", *options)
    assert (done.returncode, done.stderr) == (2, f"scripts/chaos: {sentence}\n")


def test_chaos_lists_faults_and_pairs() -> None:
    done = run_module("tests.chaos", "--list", "--json")
    listed = orjson.loads(done.stdout)
    assert "kill-engine" in listed["faults"]
    assert ["kill-shipper", "kill-engine"] in listed["pairs"]
