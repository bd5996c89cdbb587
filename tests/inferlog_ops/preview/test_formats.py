"""Value formats: the page's modules, run in a browser."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

DURATION = {"type": "duration", "from": "s", "to": "auto"}
Writing = Callable[..., str]


@pytest.fixture(scope="module")
def call(window: Any, empty: Any) -> Iterator[Callable[..., Any]]:
    """Calls a function of one of the page's modules."""
    with window(empty) as visit:
        visit.page.goto(visit.url)

        def call(module: str, expression: str) -> Any:
            return visit.page.evaluate(
                f"async () => {{ const m = await import('/static/js/{module}.js'); return {expression}; }}"
            )

        yield call


@pytest.fixture
def write(call: Callable[..., Any]) -> Writing:
    def write(value: Any, form: dict[str, Any] | None, kind: str = "double") -> str:
        form_text = "undefined" if form is None else json.dumps(form)
        return str(call("format", f"m.formatter({form_text}, {json.dumps(kind)}, {{utc: true}})({json.dumps(value)})"))

    return write


@pytest.mark.parametrize(
    ("value", "form", "written"),
    [
        (1234.5, {"type": "number"}, "1,234.50"),
        (1234.5, {"type": "number", "decimals": 0}, "1,235"),
        (-0.0001, {"type": "number", "decimals": 2}, "-0.00"),
        (0, {"type": "number", "decimals": 1, "suffix": " req/s"}, "0.0 req/s"),
        (999, {"type": "number", "decimals": 1, "compact": True}, "999"),
        (1234, {"type": "number", "decimals": 1, "compact": True}, "1.2k"),
        (999_960, {"type": "number", "decimals": 1, "compact": True}, "1.0M"),
        (2_500_000_000, {"type": "number", "decimals": 2, "compact": True}, "2.50B"),
        (0.01234, {"type": "percent"}, "1.23%"),
        (1, {"type": "percent", "decimals": 0}, "100%"),
        (512, {"type": "bytes"}, "512 B"),
        (1536, {"type": "bytes", "decimals": 1}, "1.5 KB"),
        (3 * 1024**3, {"type": "bytes", "decimals": 0, "suffix": "/s"}, "3 GB/s"),
        (1_500, {"type": "bits", "decimals": 1}, "1.5 kbit"),
        (1234.5678, None, "1,234.568"),
        (7, None, "7"),
        (None, {"type": "number"}, "–"),
        (None, None, "–"),
    ],
)
def test_numbers(value: float | None, form: dict[str, Any] | None, written: str, write: Writing) -> None:
    assert write(value, form) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"),
        (0.000_000_5, "500 ns"),
        (0.000_012_34, "12.3 µs"),
        (0.001, "1.00 ms"),
        (0.0654, "65.4 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (4.218, "4.22 s"),
        (15.003, "15.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (125, "2 min 5 s"),
        (3599.6, "1 h"),
        (7_260, "2 h 1 min"),
        (86_400 * 3 + 3_600 * 5, "3 d 5 h"),
        (-2.5, "-2.50 s"),
        (-125, "-2 min 5 s"),
    ],
)
def test_durations_take_the_unit_that_fits(seconds: float, written: str, write: Writing) -> None:
    assert write(seconds, DURATION) == written


@pytest.mark.parametrize(
    ("value", "source", "target", "written"),
    [
        (1500, "ms", "s", "1.5 s"),
        (1.5, "s", "ms", "1,500 ms"),
        (90, "min", "h", "1.5 h"),
        (3, "us", "auto", "3.00 µs"),
        (130, "s", "auto-approximate", "2 min"),
    ],
)
def test_durations_take_the_unit_that_is_named(
    value: float, source: str, target: str, written: str, write: Writing
) -> None:
    assert write(value, {"type": "duration", "from": source, "to": target}) == written


@pytest.mark.parametrize(
    ("value", "pattern", "written"),
    [
        (1234.5, "0,0.[000]", "1,234.5"),
        (1234, "0,0.[000]", "1,234"),
        (1234.5, "0.00", "1234.50"),
        (0.99501, "$0,0.00[00]", "$0.995"),
        (6.5, "$0,0.00[00]", "$6.50"),
        (0.256, "0.0%", "25.6%"),
        (1230974, "0.0a", "1.2m"),
        (2048, "0 b", "2 KB"),
        (3725, "00:00:00", "1:02:05"),
        (5, "0 apples", "5 apples"),
        (1234.5678, "ordinal#", "1,234.568"),  # not known here: as without a pattern
    ],
)
def test_custom_patterns(value: float, pattern: str, written: str, write: Writing) -> None:
    assert write(value, {"type": "custom", "pattern": pattern}) == written


def test_non_numeric_values_are_shown_unchanged(write: Writing) -> None:
    assert write("<b>1</b>", {"type": "number"}, "keyword") == "<b>1</b>"
    assert write(["a", "b"], None, "keyword") == "a, b"
    assert write(value=True, form=None, kind="boolean") == "true"
    assert write("2026-11-23T06:15:00.000Z", None, "date") == "23 Nov 2026, 06:15:00"
    assert write("2026-11-23T06:15:00.123456Z", None, "date_nanos") == "23 Nov 2026, 06:15:00.123"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", "2026-11-23T06:15:42.500Z"),
        ("now-15m", "2026-11-23T06:00:42.500Z"),
        ("now-1d/d", "2026-11-22T00:00:00.000Z"),
        ("now/w", "2026-11-23T00:00:00.000Z"),  # a Monday
        ("now/M", "2026-11-01T00:00:00.000Z"),
        ("now-1M", "2026-10-23T06:15:42.500Z"),
        ("now/y", "2026-01-01T00:00:00.000Z"),
        ("2026-11-23T06:15:00+01:00", "2026-11-23T05:15:00.000Z"),
        ("2026-11-23 06:15", "2026-11-23T06:15:00.000Z"),
        ("2026-11-23", "2026-11-23T00:00:00.000Z"),
        ("now-", None),
        ("now-15q", None),
        ("now-9999999d", None),
        ("yesterday", None),
        ("", None),
        ("2026-13-45", None),
    ],
)
def test_moments(text: str, moment: str | None, call: Callable[..., Any]) -> None:
    now = "new Date('2026-11-23T06:15:42.500Z')"
    read = f"m.moment({json.dumps(text)}, {now}, {{utc: true}})"
    assert call("timerange", f"{read} && {read}.toISOString()") == moment


@pytest.mark.parametrize(
    ("bottom", "top", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 0.0301, [0, 0.01, 0.02, 0.03]),
        (0, 437, [0, 100, 200, 300, 400]),
        (-3, 5, [-2, 0, 2, 4]),
        (0, 9_000_000, [0, 2_000_000, 4_000_000, 6_000_000, 8_000_000]),
    ],
)
def test_ticks_are_round_numbers(bottom: float, top: float, ticks: list[float], call: Callable[..., Any]) -> None:
    assert call("axes", f"m.ticks({bottom}, {top})") == ticks


@pytest.mark.parametrize(
    ("form", "size", "unit"),
    [
        ({"type": "bytes"}, 900, 1),
        ({"type": "bytes"}, 1024, 1024),
        ({"type": "bytes"}, 5 * 1024**2, 1024**2),
        (DURATION, 90, 1),
        (DURATION, 600, 60),
        ({**DURATION, "from": "ms"}, 7_200_000, 3_600_000),
        ({"type": "number"}, 1e9, 1),
        (None, 5, 1),
    ],
)
def test_axes_count_in_the_units_that_are_written(
    form: dict[str, Any] | None, size: float, unit: float, call: Callable[..., Any]
) -> None:
    assert call("format", f"m.stepUnit({json.dumps(form)}, {size})") == unit


@pytest.mark.parametrize(
    ("begin", "end", "label"),
    [
        ("now-15m", "now", "Last 15 minutes"),
        ("now-90s", "now", "Last 90 seconds"),
        ("now-2d", "now-1d", "now-2d → now-1d"),
        ("2026-11-23T06:00:00Z", "2026-11-23T07:00:00Z", "23 Nov 2026, 06:00:00 → 07:00:00"),
        ("2026-11-22T06:00:00Z", "2026-11-23T07:00:00Z", "22 Nov 2026, 06:00:00 → 23 Nov 2026, 07:00:00"),
    ],
)
def test_ranges_have_short_names(begin: str, end: str, label: str, call: Callable[..., Any]) -> None:
    write = "(date, precision) => c.formatTime(date, precision, true)"
    expression = f"m.label({json.dumps(begin)}, {json.dumps(end)}, {write})"
    assert call("timerange", f"await import('/static/js/clock.js').then((c) => {expression})") == label


def test_addresses_are_read_as_they_are_written(call: Callable[..., Any]) -> None:
    state = {
        "dashboard": "inferlog-overview",
        "from": "now-1h",
        "to": "now",
        "refresh": 10,
        "filters": [{"field": "model_version", "value": 'a&b=c#d:"%é<'}, {"field": "http.route", "value": "/v1 +"}],
        "utc": True,
    }
    assert call("address", f"m.read(m.write({json.dumps(state)}))") == state


def test_invalid_addresses_open_the_default_page(call: Callable[..., Any]) -> None:
    fresh = {"dashboard": None, "from": None, "to": None, "refresh": None, "filters": None, "utc": False}
    assert call("address", "m.read('')") == fresh
    assert call("address", "m.read('#/view/<x>?from=a&to=b&refresh=-1&f')") == {**fresh, "filters": []}


def test_colours_keep_to_their_names(call: Callable[..., Any]) -> None:
    first, second = "c.assign(['v2', 'v1', '(none)'])", "c.assign(['v3', 'v1'])"
    expression = f"[['v2', 'v1', '(none)'].map({first}), ['v3', 'v1'].map({second})]"
    (v2, v1, none), (v3, v1_again) = call("colours", f"((c) => {expression})(new m.SeriesColours())")
    assert v1 == v1_again
    assert len({v1, v2, v3, none}) == 4


@pytest.mark.parametrize(
    ("value", "colour"),
    [(0, "#111111"), (4.999, "#111111"), (5, "#222222"), (9, "#333333"), (10, "#333333"), (11, None), (None, None)],
)
def test_colour_steps_start_at_their_bounds(value: float | None, colour: str | None, call: Callable[..., Any]) -> None:
    steps = [
        {"lt": 5, "color": "#111111"},
        {"gte": 5, "lt": 9, "color": "#222222"},
        {"gte": 9, "lte": 10, "color": "#333333"},
    ]
    wanted = {"type": "dynamic", "range": "absolute", "steps": steps}
    assert call("colours", f"m.byValue({json.dumps(wanted)}, {json.dumps(value)}, 0, 10)") == colour


def test_percentage_steps_are_of_the_span_of_all_values(call: Callable[..., Any]) -> None:
    steps = [{"lt": 50, "color": "#111111"}, {"gte": 50, "color": "#222222"}]
    wanted = json.dumps({"type": "dynamic", "range": "percentage", "steps": steps})
    assert call("colours", f"[10, 14, 15, 20].map((value) => m.byValue({wanted}, value, 10, 20))") == [
        "#111111", "#111111", "#222222", "#222222",
    ]  # fmt: skip
