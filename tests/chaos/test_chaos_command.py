"""``scripts/chaos`` as a person runs it: real processes that are really broken."""

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
    """A folder that nobody may write to, which root's chaos becomes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.timeout(400)
def test_nothing_is_lost_and_nothing_is_twice_under_the_most_telling_faults() -> None:
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
def test_one_signal_ends_all_that_was_started(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(open_folder))
    with begin_module("tests.chaos", "--fault", "no-fault", "--seconds", "600") as process:
        assert process.stderr is not None
        giving_up = threading.Timer(150, process.kill)
        giving_up.start()
        for line in process.stderr:
            if "no-fault: the fault" in line:
                break
        assert len(_processes_of(open_folder)) >= 4, "engine, service, shipper and load"
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        giving_up.cancel()
    assert process.returncode == 130
    assert "not done: no-fault" in said
    assert _processes_of(open_folder) == []
    assert list(open_folder.iterdir()) == []


def _processes_of(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if str(folder) in str(process.info["cmdline"])]


@pytest.mark.parametrize("number", ["nan", "inf", "0"])
@pytest.mark.parametrize("option", ["--seconds", "--rate"])
def test_numbers_without_a_meaning_are_refused_before_anything_starts(option: str, number: str) -> None:
    done = run_module("tests.chaos", "--fault", "kill-engine", option, number)
    assert done.returncode == 2
    assert f"Invalid value for '{option}'" in done.stderr


def test_a_fault_that_does_not_exist_is_refused_in_one_sentence() -> None:
    done = run_module("tests.chaos", "--fault", "kill-nothing")
    assert done.returncode == 2
    assert done.stderr == "inferlog: there is no fault 'kill-nothing'; did you mean kill-engine?\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--full", "--fault", "kill-engine"], "--full and --fault are both given; expected one of them"),
        (["--json", "--markdown"], "--json and --markdown are both given; expected one of them"),
        (["--seconds", "5"], "--seconds is given without --fault, whose time it is"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: list[str], sentence: str) -> None:
    done = run_module("tests.chaos", *options)
    assert (done.returncode, done.stderr) == (2, f"inferlog: {sentence}\n")


def test_faults_and_pairs_are_listed() -> None:
    done = run_module("tests.chaos", "--list", "--json")
    listed = orjson.loads(done.stdout)
    assert "kill-engine" in listed["faults"]
    assert ["kill-shipper", "kill-engine"] in listed["pairs"]
