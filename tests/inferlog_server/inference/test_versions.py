from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inferlog_server.inference.errors import UnknownModelError
from inferlog_server.inference.versions import Catalog, SimulatedFigures, Version


def build_catalog(*shares: int) -> Catalog:
    return Catalog("m", [Version(name=f"v{number}", share=share) for number, share in enumerate(shares)])


@given(st.lists(st.integers(0, 50), min_size=1, max_size=5).filter(any), st.integers(1, 300))
def test_shares_are_never_off_by_a_whole_round(shares: list[int], requests: int) -> None:
    versions = build_catalog(*shares)
    chosen = Counter(versions.choose("m").name for _ in range(requests))

    for number, share in enumerate(shares):
        due = Fraction(share, sum(shares)) * requests
        assert abs(chosen[f"v{number}"] - due) < len(shares)


def test_shares_are_exact_over_each_round() -> None:
    versions = build_catalog(4, 1)

    assert [versions.choose("m").name for _ in range(10)].count("v1") == 2


def test_version_without_share_answers_only_when_named() -> None:
    versions = build_catalog(1, 0)

    assert {versions.choose("m").name for _ in range(20)} == {"v0"}
    assert versions.choose("m:v1").name == "v1"


def test_named_version_does_not_change_the_shares_of_the_others() -> None:
    versions = build_catalog(1, 1)
    alternating = [(versions.choose("m").name, versions.choose("m:v1").name)[0] for _ in range(6)]

    assert alternating == ["v0", "v1"] * 3


@given(st.text())
def test_unknown_name_raises_with_the_known_names(name: str) -> None:
    if name in ("m", "m:v0"):
        return
    with pytest.raises(UnknownModelError) as error:
        build_catalog(1).choose(name)
    assert error.value.available == ("m", "m:v0")


def test_fingerprint_changes_with_the_decoding_settings() -> None:
    one, same, other = (Version(name="v", temperature=t) for t in (0.5, 0.5, 0.6))

    assert one.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "v1\n"},
        {"name": "v" * 65},
        {"share": -1},
        {"share": float("nan")},
        {"temperature": 2.1},
        {"top_p": 0},
        {"max_tokens": 0},
        {"max_token": 5},
        {"simulated": {"failure_share": 1.1}},
    ],
)
def test_version_with_invalid_settings_is_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Version(**{"name": "v1"} | wrong)


def test_version_accepts_simulated_figures_as_plain_data() -> None:
    version = Version(name="v1", simulated={"sigma": 0})  # type: ignore[arg-type]

    assert version.simulated == SimulatedFigures(sigma=0)
