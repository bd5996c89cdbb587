"""Verdicts: direction, missing verdicts, and the rate of false differences."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.query.compare.comparison import JudgedFigure, Verdict, VersionComparison, compare_samples
from inferlog_ops.query.compare.figures import Resampling
from inferlog_ops.query.compare.samples import Numbers, Sample, VersionCounts

CHANCE = Resampling(seed=1, resamples=2_000)
OPPOSITE = {Verdict.WORSE: Verdict.BETTER, Verdict.BETTER: Verdict.WORSE}
NONE: Numbers = np.empty(0)


def _make_sample(
    name: str,
    requests: int,
    *,
    seed: int = 1,
    errors: int = 0,
    spread: float = 0.8,
    slower: float = 1.0,
    slower_start: float = 1.0,
    dearer: float = 1.0,
) -> Sample:
    """Requests of a service, 4 in 5 of them streams; times and cost multiplied by the arguments."""
    dice = np.random.default_rng([seed, *name.encode()])
    latency = slower * 0.3 * dice.lognormal(0, spread, requests)
    first_token = slower_start * 0.05 * dice.lognormal(0, 0.5, requests)
    tokens = dice.integers(1, 400, requests).astype(float)
    return Sample(
        model_version=name,
        counts=VersionCounts(requests=requests, errors=errors, output_tokens=int(tokens.sum())),
        latency_seconds=latency,
        time_to_first_token_seconds=np.where(dice.random(requests) < 0.8, first_token, np.nan),
        output_tokens=tokens,
        cost_usd=dearer * tokens * 1e-6,
    )


def _find_figure(comparison: VersionComparison, name: str) -> JudgedFigure:
    return next(judged for judged in comparison.figures if judged.figure.name == name)


def _collect_verdicts(comparison: VersionComparison) -> dict[str, Verdict]:
    return {judged.figure.name: judged.verdict for judged in comparison.figures if judged.verdict}


def test_slower_version_is_worse_only_in_its_slow_figures() -> None:
    comparison = compare_samples(_make_sample("v1", 3_000), _make_sample("v2", 3_000, slower=2.0), 60.0, CHANCE)
    assert comparison.verdict is Verdict.WORSE
    assert _collect_verdicts(comparison) == {
        "latency p50": Verdict.WORSE,
        "latency p95": Verdict.WORSE,
        "latency p99": Verdict.WORSE,
        "time to first token p50": Verdict.SAME,
        "time to first token p95": Verdict.SAME,
        "time to first token p99": Verdict.SAME,
        "output tokens/s of a request p50": Verdict.WORSE,
        "error rate": Verdict.SAME,
        "cost of 1 000 requests": Verdict.SAME,
    }


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({"slower": 0.5}, "latency p99"),
        ({"slower": 0.5}, "output tokens/s of a request p50"),
        ({"slower_start": 0.5}, "time to first token p95"),
        ({"dearer": 0.5}, "cost of 1 000 requests"),
        ({"errors": 30}, "error rate"),
    ],
)
def test_improvement_is_better_in_its_figure_and_overall(change: dict[str, float], figure: str) -> None:
    first = _make_sample("v1", 3_000, errors=90)
    comparison = compare_samples(first, _make_sample("v2", 3_000, **{"errors": 90, **change}), 60.0, CHANCE)  # type: ignore[arg-type]
    assert _collect_verdicts(comparison)[figure] is Verdict.BETTER
    assert comparison.verdict is Verdict.BETTER


def test_one_worse_figure_outweighs_all_better_ones() -> None:
    comparison = compare_samples(
        _make_sample("v1", 3_000), _make_sample("v2", 3_000, slower=0.5, errors=200), 60.0, CHANCE
    )
    assert _collect_verdicts(comparison)["latency p99"] is Verdict.BETTER
    assert comparison.verdict is Verdict.WORSE


samples = st.builds(
    _make_sample,
    st.just("v1"),
    st.integers(1, 700),
    seed=st.integers(0, 1_000),
    slower=st.floats(0.1, 10),
    slower_start=st.floats(0.1, 10),
    dearer=st.floats(0.1, 10),
)


@given(samples, samples, st.floats(0, 1), st.floats(0, 1))
def test_swapping_the_versions_flips_every_sign_and_verdict(
    one: Sample, other: Sample, one_share: float, other_share: float
) -> None:
    first, second = (
        replace(sample, model_version=name, counts=replace(sample.counts, errors=round(share * sample.counts.requests)))
        for sample, name, share in ((one, "v1", one_share), (other, "v2", other_share))
    )
    # A margin would be a share of the one or of the other.
    there, back = (compare_samples(*pair, 60.0, CHANCE, margin=0.0) for pair in ((first, second), (second, first)))
    for judged, swapped in zip(there.figures, back.figures, strict=True):
        assert (swapped.figure.first, swapped.figure.second) == (judged.figure.second, judged.figure.first)
        if judged.figure.difference is not None:
            assert swapped.figure.difference == -judged.figure.difference
        if judged.interval is not None and swapped.interval is not None:
            mirrored = (-swapped.interval.high, -swapped.interval.low)
            assert mirrored == pytest.approx((judged.interval.low, judged.interval.high), rel=1e-9, abs=1e-12)
        assert (swapped.sure, swapped.interval is None) == (judged.sure, judged.interval is None)
        if judged.verdict in OPPOSITE:
            assert swapped.verdict is OPPOSITE[judged.verdict]
        else:
            # Only what is worse must not be much so: "same" may be "too few" from the other side.
            assert swapped.verdict not in OPPOSITE


def test_equal_versions_are_rarely_judged_different() -> None:
    """200 pairs with the same distribution: each figure differs by chance in 5 % of them, over all in less."""
    pairs, differing, over_all = 200, Counter[str](), Counter[Verdict]()
    dice = np.random.default_rng(2)
    for pair in range(pairs):
        first, second = (
            _make_sample(name, 5_000, seed=pair, errors=int(dice.binomial(5_000, 0.01))) for name in ("v1", "v2")
        )
        # As many resamples as the command takes: of 2 000, too few lie beyond the bounds of all figures together.
        comparison = compare_samples(first, second, 60.0, Resampling(seed=1), margin=0.0)
        over_all[comparison.verdict] += 1
        differing.update(name for name, verdict in _collect_verdicts(comparison).items() if verdict in OPPOSITE)
    assert len(differing) == 9
    assert all(0.01 < count / pairs < 0.09 for count in differing.values()), differing
    assert over_all[Verdict.WORSE] / pairs < 0.05
    assert over_all[Verdict.SAME] / pairs > 0.85


def test_version_is_same_as_itself() -> None:
    sample = _make_sample("v1", 1_000, errors=10)
    comparison = compare_samples(sample, replace(sample, model_version="v2"), 60.0, CHANCE)
    assert {judged.figure.difference for judged in comparison.figures} == {0.0}
    assert set(_collect_verdicts(comparison).values()) == {Verdict.SAME}
    assert comparison.verdict is Verdict.SAME


@pytest.mark.parametrize(
    ("requests", "judged"),
    [
        (29, set()),
        (30, {"latency p50", "error rate"}),
        (99, {"latency p50", "error rate"}),
        (100, {"latency p50", "latency p95", "error rate"}),
        (499, {"latency p50", "latency p95", "error rate"}),
        (500, {"latency p50", "latency p95", "latency p99", "error rate"}),
    ],
)
@pytest.mark.parametrize("few_first", [True, False])
def test_figure_of_too_few_requests_of_either_version_is_not_judged(
    requests: int, judged: set[str], few_first: bool
) -> None:
    few = replace(
        _make_sample("few", requests, spread=0.05, errors=requests // 2),
        time_to_first_token_seconds=np.full(requests, np.nan),
        output_tokens=np.full(requests, np.nan),
        cost_usd=np.full(requests, np.nan),
    )
    many = _make_sample("many", 2_000, spread=0.05, errors=1_000)
    comparison = compare_samples(*((few, many) if few_first else (many, few)), 60.0, CHANCE)
    verdicts = _collect_verdicts(comparison)
    assert {name for name, verdict in verdicts.items() if verdict is not Verdict.TOO_FEW} == judged
    assert (comparison.verdict is Verdict.TOO_FEW) is (requests < 500)
    assert all((each.interval is None) is (each.figure.name not in judged) for each in comparison.figures)


@pytest.mark.parametrize(
    ("spread", "errors", "verdicts"),
    [
        (0.8, 10, (Verdict.SAME, Verdict.SAME)),
        (2.0, 10, (Verdict.TOO_FEW, Verdict.SAME)),
        (0.8, 20, (Verdict.SAME, Verdict.TOO_FEW)),
    ],
)
def test_figure_that_may_be_much_worse_is_not_same(
    spread: float, errors: int, verdicts: tuple[Verdict, Verdict]
) -> None:
    first = _make_sample("v1", 1_000, spread=spread, errors=errors)
    comparison = compare_samples(first, replace(first, model_version="v2"), 60.0, CHANCE)
    assert tuple(_collect_verdicts(comparison)[name] for name in ("latency p99", "error rate")) == verdicts
    assert comparison.verdict is (Verdict.TOO_FEW if Verdict.TOO_FEW in verdicts else Verdict.SAME)


def test_few_far_slower_requests_are_worse() -> None:
    comparison = compare_samples(_make_sample("v1", 60), _make_sample("v2", 60, slower=20.0), 60.0, CHANCE)
    assert _collect_verdicts(comparison)["latency p99"] is Verdict.TOO_FEW
    assert comparison.verdict is Verdict.WORSE


def test_few_far_faster_requests_are_too_few() -> None:
    comparison = compare_samples(_make_sample("v1", 60), _make_sample("v2", 60, slower=0.05), 60.0, CHANCE)
    assert _collect_verdicts(comparison)["latency p50"] is Verdict.BETTER
    assert comparison.verdict is Verdict.TOO_FEW


def test_figures_unknown_in_both_versions_are_left_out_except_latency() -> None:
    bare = replace(
        _make_sample("v1", 2),
        latency_seconds=np.full(2, np.nan),
        time_to_first_token_seconds=np.full(2, np.nan),
        output_tokens=np.full(2, np.nan),
        cost_usd=np.full(2, np.nan),
    )
    comparison = compare_samples(bare, replace(bare, model_version="v2"), 60.0, CHANCE)
    assert [judged.figure.name for judged in comparison.figures] == [
        "latency p99", "error rate", "requests", "requests/s", "output tokens/s of the range",
    ]  # fmt: skip
    assert _find_figure(comparison, "latency p99").figure.first is None
    assert comparison.verdict is Verdict.TOO_FEW


def test_difference_within_the_margin_is_ignored_except_in_the_error_rate() -> None:
    first = _make_sample("v1", 20_000, errors=10_000)
    slower = compare_samples(first, _make_sample("v2", 20_000, slower=1.2, errors=10_000), 60.0, CHANCE, margin=0.1)
    assert slower.verdict is Verdict.WORSE
    wider = compare_samples(first, _make_sample("v2", 20_000, slower=1.2, errors=10_400), 60.0, CHANCE, margin=0.4)
    assert {name for name, verdict in _collect_verdicts(wider).items() if verdict is Verdict.WORSE} == {"error rate"}


def test_chance_difference_of_one_figure_is_marked_and_not_counted() -> None:
    first, second = _make_sample("v1", 3_000, errors=30), _make_sample("v2", 3_000, errors=30, slower_start=1.03)
    comparison = compare_samples(first, second, 60.0, CHANCE, margin=0.0)
    by_chance = [judged.figure.name for judged in comparison.figures if not judged.sure]
    assert by_chance == ["time to first token p50"]
    assert _collect_verdicts(comparison)["time to first token p50"] is Verdict.WORSE
    assert comparison.verdict is Verdict.SAME


def test_error_rate_that_may_be_worse_by_chance_leaves_the_verdict_open() -> None:
    comparison = compare_samples(
        _make_sample("v1", 1_000, errors=10), _make_sample("v2", 1_000, errors=22), 60.0, CHANCE
    )
    error_rate = _find_figure(comparison, "error rate")
    assert error_rate.verdict is Verdict.WORSE
    assert not error_rate.sure
    assert comparison.verdict is Verdict.TOO_FEW


def test_traffic_is_shown_and_not_judged() -> None:
    first, second = _make_sample("v1", 1_000), _make_sample("v2", 4_000)
    comparison = compare_samples(first, second, 50.0, CHANCE)
    per_second = _find_figure(comparison, "requests/s")
    assert (per_second.figure.first, per_second.figure.second, per_second.verdict) == (20.0, 80.0, None)
    tokens = _find_figure(comparison, "output tokens/s of the range")
    assert tokens.figure.first == first.counts.output_tokens / 50.0
    assert tokens.verdict is None


def test_same_seed_gives_the_same_bounds_and_another_one_others() -> None:
    first, second = _make_sample("v1", 1_000), _make_sample("v2", 1_000)
    bounds = [
        _find_figure(compare_samples(first, second, 60.0, Resampling(seed=seed)), "latency p95").interval
        for seed in (1, 1, 2)
    ]
    assert bounds[0] == bounds[1] != bounds[2]


def test_speed_excludes_requests_without_tokens_or_latency() -> None:
    sample = replace(
        _make_sample("v1", 5),
        latency_seconds=np.array([2.0, 0.0, np.nan, 4.0, 5.0]),
        output_tokens=np.array([10.0, 10.0, 10.0, 0.0, np.nan]),
    )
    assert sample.output_tokens_per_second.tolist() == [5.0]
