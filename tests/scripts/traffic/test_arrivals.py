import itertools
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_traffic import arrivals
from inferlog_traffic.arrivals import CURVES, Curve, day, flat, ramp, spike, steps

seeds = st.integers()


@given(seeds)
def test_times_repeat_with_the_same_seed(seed: int) -> None:
    first, second = (list(itertools.islice(arrivals.draw_independent(5.0, Random(seed)), 50)) for _ in range(2))
    assert first == second
    assert first == sorted(first)
    assert first[0] > 0


def test_times_differ_with_another_seed() -> None:
    assert next(arrivals.draw_independent(5.0, Random(1))) != next(arrivals.draw_independent(5.0, Random(2)))


@pytest.mark.parametrize("requests_per_second", [0.2, 7.0])
def test_gaps_are_exponential_with_the_mean_of_the_rate(requests_per_second: float) -> None:
    moments = list(itertools.islice(arrivals.draw_independent(requests_per_second, Random(1)), 20_000))
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert mean(gaps) == pytest.approx(1 / requests_per_second, rel=0.03)
    # 36.8 % of exponential gaps are longer than their mean; of uniform gaps half are, and of constant gaps none.
    longer = sum(gap > 1 / requests_per_second for gap in gaps) / len(gaps)
    assert longer == pytest.approx(0.368, abs=0.02)


@given(seeds, st.integers(min_value=1, max_value=20))
def test_burst_has_its_size_at_one_time(seed: int, size: int) -> None:
    moments = list(itertools.islice(arrivals.draw_bursts(5.0, Random(seed), size=size), 10 * size))
    assert [len(list(same)) for _, same in itertools.groupby(moments)] == [size] * 10


def test_bursts_keep_the_rate_on_average() -> None:
    moments = list(itertools.islice(arrivals.draw_bursts(4.0, Random(1), size=8), 40_000))
    assert len(moments) / moments[-1] == pytest.approx(4.0, rel=0.05)


each_curve = pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)


@each_curve
@given(time=st.floats(min_value=0, max_value=1))
def test_curve_is_between_0_and_1(curve: Curve, time: float) -> None:
    assert 0 <= curve(time) <= 1


@each_curve
def test_curve_reaches_its_maximum(curve: Curve) -> None:
    assert max(curve(percent / 100) for percent in range(101)) == pytest.approx(1.0, abs=0.01)


def test_each_curve_has_its_shape() -> None:
    def at_tenths(curve: Curve) -> list[float]:
        return [round(curve(tenth / 10), 2) for tenth in range(11)]

    assert at_tenths(flat) == [1.0] * 11
    assert at_tenths(steps) == [0.2, 0.2, 0.4, 0.4, 0.6, 0.6, 0.8, 0.8, 1.0, 1.0, 1.0]
    assert at_tenths(ramp) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert at_tenths(spike) == [0.2, 0.2, 0.2, 0.2, 1.0, 1.0, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert day(4 / 24) == pytest.approx(0.2), "quietest at four in the morning"
    assert day(16 / 24) == pytest.approx(1.0), "busiest at four in the afternoon"
    assert day(0.0) == pytest.approx(day(1.0)), "the next day goes on where this one ends"
