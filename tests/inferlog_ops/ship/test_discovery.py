import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from inferlog_ops.ship.discovery import find_stream, list_folder


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("events-scoring-9f2c4b7d1e0a4c33-20261123T061500Z-0001.jsonl", "events"),
        ("app-x.jsonl", "app"),
        ("health-x.jsonl", "health"),
        ("content-x.jsonl", "content"),
        ("events.jsonl", None),
        ("events-.jsonl", None),
        ("events-a.jsonl.gz", None),
        ("events-a.json", None),
        ("metrics-a.jsonl", None),
        ("Events-a.jsonl", None),
        ("events-a\n.jsonl", None),
        ("events-\udcff.jsonl", None),
    ],
)
def test_file_name_determines_the_stream(name: str, stream: str | None) -> None:
    assert find_stream(name) == stream


def test_list_folder_finds_files_in_all_but_hidden_folders(tmp_path: Path) -> None:
    for name in (
        "events-a.jsonl",
        "deep/er/app-b.jsonl",
        ".shipped/events-c.jsonl",
        "deep/.events-d.jsonl",
        "notes.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("12345")
    listing = list_folder(tmp_path)
    assert [(file.name, file.stream, file.size) for file in listing.files] == [
        ("deep/er/app-b.jsonl", "app", 5),
        ("events-a.jsonl", "events", 5),
    ]
    assert listing.left_alone == ["notes.txt"]


def test_list_folder_ignores_entries_that_are_not_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "events-pipe.jsonl")
    (tmp_path / "events-nowhere.jsonl").symlink_to(tmp_path / "gone")
    (tmp_path / "events-loop.jsonl").symlink_to(tmp_path, target_is_directory=True)
    listing = list_folder(tmp_path)
    assert listing.files == []
    assert listing.left_alone == ["events-loop.jsonl", "events-nowhere.jsonl", "events-pipe.jsonl"]


def test_folder_that_is_deleted_during_the_poll_is_not_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "short-lived").mkdir()
    scandir = os.scandir

    def delete_first(folder: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        if folder.name == "short-lived":
            folder.rmdir()
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", delete_first)
    assert list_folder(tmp_path).problems == []


def test_list_folder_reports_a_missing_folder_as_a_problem(tmp_path: Path) -> None:
    assert list_folder(tmp_path / "gone").problems == [
        f"cannot read the folder {tmp_path / 'gone'}: No such file or directory"
    ]
