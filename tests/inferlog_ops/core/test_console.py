import pytest

from inferlog_ops.core.console import format_bytes


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (71_299_000, "71.3 MB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (10**9, "1.0 GB"),
        (5 * 10**15, "5,000.0 TB"),
    ],
)
def test_size_is_rounded_before_its_unit_is_chosen(size_bytes: int, text: str) -> None:
    assert format_bytes(size_bytes) == text
