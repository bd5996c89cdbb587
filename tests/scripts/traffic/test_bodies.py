from pathlib import Path

import pytest

from inferlog_traffic.bodies import DEFAULT_FILE, read_prompts


def test_default_prompts_have_many_lengths() -> None:
    prompts = read_prompts(DEFAULT_FILE)
    lengths = [len(prompt) for prompt in prompts]
    assert len(set(prompts)) == len(prompts) >= 20
    assert min(lengths) < 30
    assert max(lengths) > 150


def test_prompts_exclude_empty_lines_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("# questions\n\nWhy?\n  How?  \n")
    assert read_prompts(file) == ("Why?", "How?")


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n", b"\xff\xfe"])
def test_file_without_prompts_is_rejected_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="prompts.txt"):
        read_prompts(file)


def test_missing_file_of_prompts_is_rejected_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="missing.txt cannot be read"):
        read_prompts(tmp_path / "missing.txt")


@pytest.mark.timeout(20)
def test_endless_file_of_prompts_is_not_read_to_its_end() -> None:
    with pytest.raises(ValueError, match="/dev/zero is larger than 1 MiB; expected prompts, one per line"):
        read_prompts(Path("/dev/zero"))
