"""Rule that distinguishes a leak from noise."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.steadiness import TOLERANCE, compare_early_and_late, measure_steadiness, split_into_tenths

ENOUGH = st.integers(min_value=10, max_value=500)


@given(st.lists(st.integers(), min_size=10, max_size=500))
def test_tenths_hold_everything_once_and_in_order(samples: list[int]) -> None:
    tenths = split_into_tenths(samples)
    assert [sample for tenth in tenths for sample in tenth] == samples
    assert len(tenths) == 10
    assert max(map(len, tenths)) - min(map(len, tenths)) <= 1


def test_nine_samples_have_no_tenths() -> None:
    with pytest.raises(ValueError, match="9 samples"):
        measure_steadiness([1.0] * 9)


@given(st.floats(min_value=1, max_value=1e12), ENOUGH)
def test_constant_value_is_steady(value: float, count: int) -> None:
    assert measure_steadiness([value] * count).change == 0


@given(ENOUGH, st.integers())
def test_noise_around_one_value_is_steady(count: int, seed: int) -> None:
    noise = random.Random(seed)
    assert measure_steadiness([100 + noise.uniform(-2, 2) for _ in range(count)]).is_within()


@given(ENOUGH, st.floats(min_value=0.08, max_value=10), st.integers())
def test_leak_is_found_under_noise(count: int, grows_by: float, seed: int) -> None:
    noise = random.Random(seed)
    leaking = [100 * (1 + grows_by * number / count) + noise.uniform(-0.2, 0.2) for number in range(count)]
    assert measure_steadiness(leaking).change > TOLERANCE


def test_late_leak_is_found() -> None:
    assert not measure_steadiness([100.0] * 80 + [100.0 + number for number in range(20)]).is_within()


def test_warm_up_in_the_first_tenth_does_not_count() -> None:
    assert measure_steadiness([10.0 * number for number in range(10)] + [100.0] * 90).is_within()


def test_single_peak_does_not_count() -> None:
    assert measure_steadiness([100.0] * 95 + [900.0] + [100.0] * 4).is_within()


def test_shrinking_value_is_not_steady() -> None:
    assert not measure_steadiness([100.0] * 50 + [80.0] * 50).is_within()


def test_growth_from_zero_is_growth() -> None:
    assert not measure_steadiness([0.0] * 50 + [1.0] * 50).is_within()


def test_early_and_late_values_are_compared() -> None:
    early = [40.0, 42.0, 41.0, 40.0, 43.0]
    assert compare_early_and_late(early, [41.0, 42.0, 40.0, 41.0]).is_within()
    assert compare_early_and_late(early, [46.0, 47.0, 45.0, 44.0, 48.0]).change == pytest.approx(46 / 41 - 1)
