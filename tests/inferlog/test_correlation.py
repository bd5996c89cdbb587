import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog.correlation import Trace, parse_traceparent, usable_id


@given(st.text())
def test_a_kept_id_cannot_forge_a_line(text: str) -> None:
    if usable_id(text):
        assert 1 <= len(text) <= 64
        assert text.isascii()
        assert not set(text) & set('\n\r\t "\\{}:,')


@pytest.mark.parametrize("text", ["", "a" * 65, "a\n", "a b", "é", "１", "a\0", "../x"[:3] + "/"])
def test_other_ids_are_not_kept(text: str) -> None:
    assert not usable_id(text)


def test_a_valid_traceparent_is_read() -> None:
    trace = parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    assert trace == Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


@pytest.mark.parametrize("more", ["", "-", "-more", "-" + "x" * 200])
def test_a_traceparent_of_a_version_to_come_is_read_as_far_as_it_is_known(more: str) -> None:
    trace = parse_traceparent(f"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01{more}")
    assert trace == Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
        # More than that only a version to come may have, and it goes on to others as it came.
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-\xbcmore",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more\rX-Other: 1",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-two words",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-" + "x" * 201,
    ],
)
def test_an_invalid_traceparent_is_none(header: str) -> None:
    assert parse_traceparent(header) is None
