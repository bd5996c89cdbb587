import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_traffic.curves import CURVES, Curve, day, flat, ramp, spike, steps

each_curve = pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)


@each_curve
@given(time=st.floats(min_value=0, max_value=1))
def test_rate_lies_between_nothing_and_the_highest(curve: Curve, time: float) -> None:
    assert 0 <= curve(time) <= 1


@each_curve
def test_the_highest_rate_is_reached(curve: Curve) -> None:
    assert max(curve(percent / 100) for percent in range(101)) == pytest.approx(1.0, abs=0.01)


def test_each_curve_runs_its_course() -> None:
    def at_tenths(curve: Curve) -> list[float]:
        return [round(curve(tenth / 10), 2) for tenth in range(11)]

    assert at_tenths(flat) == [1.0] * 11
    assert at_tenths(steps) == [0.2, 0.2, 0.4, 0.4, 0.6, 0.6, 0.8, 0.8, 1.0, 1.0, 1.0]
    assert at_tenths(ramp) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert at_tenths(spike) == [0.2, 0.2, 0.2, 0.2, 1.0, 1.0, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert day(4 / 24) == pytest.approx(0.2), "quietest at four in the morning"
    assert day(16 / 24) == pytest.approx(1.0), "busiest at four in the afternoon"
    assert day(0.0) == pytest.approx(day(1.0)), "the next day goes on where this one ends"
