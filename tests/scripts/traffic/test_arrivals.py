import itertools
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_traffic import arrivals

seeds = st.integers()


@given(seeds)
def test_the_same_seed_gives_the_same_moments(seed: int) -> None:
    first, second = (list(itertools.islice(arrivals.independent(5.0, Random(seed)), 50)) for _ in range(2))
    assert first == second
    assert first == sorted(first)
    assert first[0] > 0


def test_another_seed_gives_other_moments() -> None:
    assert next(arrivals.independent(5.0, Random(1))) != next(arrivals.independent(5.0, Random(2)))


@pytest.mark.parametrize("requests_per_second", [0.2, 7.0])
def test_gaps_are_exponential_with_the_mean_that_the_rate_says(requests_per_second: float) -> None:
    moments = list(itertools.islice(arrivals.independent(requests_per_second, Random(1)), 20_000))
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert mean(gaps) == pytest.approx(1 / requests_per_second, rel=0.03)
    # Of exponential gaps 36.8 % are longer than their mean; of even ones half, or none.
    longer = sum(gap > 1 / requests_per_second for gap in gaps) / len(gaps)
    assert longer == pytest.approx(0.368, abs=0.02)


@given(seeds, st.integers(min_value=1, max_value=20))
def test_a_burst_is_so_many_requests_at_one_moment(seed: int, size: int) -> None:
    moments = list(itertools.islice(arrivals.bursts(5.0, Random(seed), size=size), 10 * size))
    assert [len(list(same)) for _, same in itertools.groupby(moments)] == [size] * 10


def test_bursts_keep_the_rate_on_average() -> None:
    moments = list(itertools.islice(arrivals.bursts(4.0, Random(1), size=8), 40_000))
    assert len(moments) / moments[-1] == pytest.approx(4.0, rel=0.05)
