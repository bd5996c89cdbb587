"""``inferlog compare`` on the real engine, about known events."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
import typer
from elasticsearch import NotFoundError
from typer.testing import CliRunner, Result

from inferlog_ops.cli import compare
from inferlog_ops.core import progress, snapshot
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from tests.golden import END, START, Document, Row, build_golden, compute_expected_rows
from tests.golden.reading import select_stream
from tests.support.indexing import create_fresh_cluster, index, index_parts

MANY = {"v1": 12_345, "v2": 11_000, "v3": 40, "v4": 10_001}
"""Number of requests by version, mostly above the page size of 10 000. v4 equals v1, v2 is slower."""

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(compare.compare)


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A namespace with events and their range."""

    cluster: Cluster
    documents: list[Document]
    start: datetime
    end: datetime

    def compare(self, *arguments: str, start: datetime | None = None, end: datetime | None = None) -> Result:
        """Run the command about the range."""
        span = ("--from", (start or self.start).isoformat(), "--to", (end or self.end).isoformat())
        where = ("--url", self.cluster.url, "--namespace", self.cluster.namespace)
        return CliRunner().invoke(app, [*arguments, *span, *where])

    def read_figures(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """Return the figures of the JSON output by name."""
        return {each["name"]: each for each in self.read_json(*arguments)["figures"]}

    def read_json(self, *arguments: str) -> dict[str, Any]:
        """Return the JSON output."""
        result = self.compare(*arguments, "--json")
        assert result.exit_code == 0, result
        said: dict[str, Any] = orjson.loads(result.stdout)
        return said

    def list_numbers(self, model_version: str, field: str) -> list[float]:
        """Return the field's value in each request of the version."""
        return [each[field] for each in self.documents if each.get("model_version") == model_version and field in each]


@pytest.fixture(scope="module")
def of_golden(engine_url: str) -> Filled:
    """The golden events, some of them twice."""
    documents = build_golden()
    return Filled(
        cluster=_index_separately(engine_url, [documents.first, documents.again, documents.again_later]),
        documents=select_stream(documents.select_between(START, END), "events"),
        start=START,
        end=END,
    )


@pytest.fixture(scope="module")
def of_many(engine_url: str) -> Filled:
    """Two versions with many pages of requests in several indices, and one with few."""
    end = START + timedelta(minutes=5)
    documents = _make_many(end)
    parts = [documents[begin : begin + 9_000] for begin in range(0, len(documents), 9_000)]
    return Filled(cluster=_index_separately(engine_url, parts), documents=documents, start=START, end=end)


def _index_separately(engine_url: str, parts: list[list[Document]]) -> Cluster:
    """Put each part into an index of its own."""
    cluster = create_fresh_cluster(engine_url)
    index_parts(cluster, "events", *parts)
    return cluster


def _make_many(end: datetime) -> list[Document]:
    dice = np.random.default_rng(3)
    documents = []
    for number, version in enumerate(dice.permutation([each for each, count in MANY.items() for _ in range(count)])):
        slower = 1.5 if version == "v2" else 1.0
        document: Document = {
            "@timestamp": (START + (end - START) * float(dice.random())).isoformat(),
            "event": {"id": f"{number:032x}", "sequence": number},
            "model_version": str(version),
            "status": "error" if dice.random() < 0.02 * slower else "success",
            "latency_seconds": round(slower * float(dice.lognormal(-1, 1)), 6),
        }
        if dice.random() < 0.3:
            document["time_to_first_token_seconds"] = round(float(dice.random()), 6)
        documents.append(document)
    return documents


def test_figures_equal_plain_python_on_the_golden_events(of_golden: Filled) -> None:
    figures = of_golden.read_figures("v1", "v2")
    for version, place in (("v1", "first"), ("v2", "second")):
        answer = {
            name: _find_row(compute_expected_rows(name, of_golden.documents, START, END), version)
            for name in ("p99_latency", "time_to_first_token", "error_rate", "requests_per_second", "overview")
        }
        for percent in (50, 95, 99):
            latency, first_token = (
                answer[each][f"p{percent}_seconds"] for each in ("p99_latency", "time_to_first_token")
            )
            assert figures[f"latency p{percent}"][place] == pytest.approx(latency)
            assert figures[f"time to first token p{percent}"][place] == pytest.approx(first_token)
        assert figures["error rate"][place] == pytest.approx(answer["error_rate"]["error_rate"])
        assert figures["requests"][place] == answer["error_rate"]["requests"]
        assert figures["requests/s"][place] == pytest.approx(answer["requests_per_second"]["requests_per_second"])
        tokens = figures["output tokens/s of the range"][place]
        assert tokens == pytest.approx(answer["overview"]["output_tokens_per_second"])
        assert figures["output tokens/s of a request p50"][place] == pytest.approx(
            _compute_median_speed(of_golden, version)
        )
        cost = figures["cost of 1 000 requests"][place]
        assert cost == pytest.approx(1_000 * np.mean(of_golden.list_numbers(version, "cost_usd")))


def _find_row(rows: list[Row], version: str) -> Row:
    return next(row for row in rows if row["model_version"] == version)


def _compute_median_speed(filled: Filled, version: str) -> float:
    answered = [
        (each["gen_ai"]["usage"]["output_tokens"], each["latency_seconds"])
        for each in filled.documents
        if each.get("model_version") == version and "gen_ai" in each and "latency_seconds" in each
    ]
    return float(np.median([tokens / seconds for tokens, seconds in answered if tokens]))


def test_requests_without_a_model_can_be_compared(of_golden: Filled) -> None:
    said = of_golden.read_json("v1", "(none)")
    without = [each for each in of_golden.documents if "model_version" not in each]
    assert said["second"] == {"model_version": "(none)", "requests": len(without), "drawn": len(without)}


def test_every_page_of_every_index_is_read(of_many: Filled) -> None:
    said = of_many.read_json("v1", "v2")
    assert [said[place]["drawn"] for place in ("first", "second")] == [MANY["v1"], MANY["v2"]]
    figures = {each["name"]: each for each in said["figures"]}
    for field, name in (("latency_seconds", "latency"), ("time_to_first_token_seconds", "time to first token")):
        for percent in (50, 95, 99):
            for version, place in (("v1", "first"), ("v2", "second")):
                wanted = np.percentile(of_many.list_numbers(version, field), percent)
                assert figures[f"{name} p{percent}"][place] == pytest.approx(float(wanted), rel=1e-12)


def test_slower_version_with_more_errors_is_worse(of_many: Filled) -> None:
    said = of_many.read_json("v1", "v2")
    verdicts = {each["name"]: each["verdict"] for each in said["figures"]}
    assert said["verdict"] == "worse"
    assert verdicts["latency p99"] == verdicts["error rate"] == "worse"
    assert verdicts["time to first token p50"] == "same"


def test_swapping_the_versions_mirrors_the_intervals(of_many: Filled) -> None:
    there, back = of_many.read_figures("v1", "v2"), of_many.read_figures("v2", "v1")
    for name, figure in there.items():
        assert back[name]["difference"] == -figure["difference"]
        if figure["low"] is not None:
            assert (back[name]["low"], back[name]["high"]) == pytest.approx((-figure["high"], -figure["low"]))


def test_large_version_is_sampled_and_the_output_names_the_sample(of_many: Filled) -> None:
    result = of_many.compare("v1", "v2", "--at-most", "4000")
    assert "of the 12,345 requests of v1; counts and error rate cover all of them." in result.stdout
    said, whole = of_many.read_json("v1", "v2", "--at-most", "4000"), of_many.read_json("v1", "v2")
    for place in ("first", "second"):
        assert 3_700 < said[place]["drawn"] < 4_300
    figures, all_of_them = ({each["name"]: each for each in each_said["figures"]} for each_said in (said, whole))
    assert figures["error rate"] == all_of_them["error rate"]
    assert figures["requests"] == all_of_them["requests"]
    median = figures["latency p50"]["first"]
    assert median != all_of_them["latency p50"]["first"]
    assert median == pytest.approx(all_of_them["latency p50"]["first"], rel=0.1)


def test_seed_draws_the_same_requests_again_and_another_seed_others(of_many: Filled) -> None:
    drawn = [
        of_many.read_figures("v1", "v2", "--at-most", "4000", "--seed", seed)["latency p50"] for seed in ("7", "7", "8")
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0]["first"] != drawn[2]["first"]


def test_exit_code_is_0_when_worse_without_fail_if_worse(of_many: Filled) -> None:
    assert of_many.compare("v1", "v2").exit_code == 0
    assert of_many.compare("v1", "v2", "--fail-if-worse").exit_code == 1
    assert of_many.compare("v2", "v1", "--fail-if-worse").exit_code == 0
    assert of_many.compare("v1", "v3", "--fail-if-worse").exit_code == 0


def test_equal_version_is_same(of_many: Filled) -> None:
    *_, verdict = of_many.compare("v1", "v4").stdout.splitlines()
    assert verdict == "No difference beyond the margin of 0.05 between v1 and v4."


def test_difference_within_the_margin_is_same(of_many: Filled) -> None:
    verdicts = [
        of_many.read_figures("v1", "v2", "--margin", margin)["latency p50"]["verdict"] for margin in ("0.1", "2")
    ]
    assert verdicts == ["worse", "same"]


def test_progress_is_shown_only_after_a_delay(of_many: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 3600.0)
    assert of_many.compare("v1", "v2").stderr == ""
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0.0)
    assert "reading v1: 10,000 of 12,345 requests" in of_many.compare("v1", "v2").stderr


def test_table_shows_both_versions_units_and_the_verdict_below(of_many: Filled) -> None:
    span, head, *rows, verdict = of_many.compare("v1", "v2").stdout.splitlines()
    assert span == "2026-11-23 06:00:07 UTC to 2026-11-23 06:05:07 UTC"
    assert head.split() == ["figure", "v1", "v2", "difference", "95%", "interval", "verdict"]
    assert [row.rsplit(maxsplit=1)[1] for row in rows] == [
        "worse", "worse", "worse", "same", "same", "same", "worse", "-", "-", "-",
    ]  # fmt: skip
    p50 = of_many.read_figures("v1", "v2")["latency p50"]
    assert rows[0].split() == [
        "latency", "p50", "(s)", f"{p50['first']:.4f}", f"{p50['second']:.4f}", f"{p50['difference']:+.4f}",
        f"{p50['relative_difference']:+.1%}", f"{p50['low']:+.4f}", "…", f"{p50['high']:+.4f}", "worse",
    ]  # fmt: skip
    assert any(row.startswith("error rate (%)") for row in rows)
    assert verdict == "v2 is worse than v1: latency p50, latency p95, latency p99, error rate."


def test_too_few_requests_print_the_required_minimum(of_many: Filled) -> None:
    *_, verdict, needed = of_many.compare("v1", "v3").stdout.splitlines()
    assert verdict == ("Too few requests to decide if v3 is worse than v1; undecided: latency p99, error rate.")
    assert needed.startswith(
        "Minimum requests of each version for a verdict: a p50 30, a p95 100, a p99 500, other figures 30;"
    )


@pytest.mark.parametrize(
    ("versions", "complaint", "exit_code"),
    [
        (("v1", "v1"), "'v1' is given twice", 2),
        (("v1", "v22"), r"no event in namespace '\w+' of http\S+ has the model version 'v22'; did you mean v2\?", 2),
        (("canary", "v1"), "no event .* the model version 'canary'; Known versions: v1, v2, v4, v3$", 2),
    ],
)
def test_versions_that_cannot_be_compared_get_a_sentence(
    of_many: Filled, versions: tuple[str, str], complaint: str, exit_code: int
) -> None:
    with pytest.raises(OperatorError, match=complaint) as refusal:
        raise of_many.compare(*versions).exception  # type: ignore[misc]
    assert refusal.value.exit_code == exit_code


def test_range_without_events_differs_from_version_without_events(of_many: Filled) -> None:
    late = of_many.end + timedelta(days=1)
    with pytest.raises(
        OperatorError, match=r"holds no events from 2026-11-24 06:05:07 UTC to .*; choose a wider range"
    ):
        raise of_many.compare("v1", "v2", start=late, end=late + timedelta(hours=1)).exception  # type: ignore[misc]
    first_of_v3 = min(each["@timestamp"] for each in of_many.documents if each["model_version"] == "v3")
    with pytest.raises(OperatorError, match="model version 'v3' has no events from .*; choose a wider range"):
        raise of_many.compare("v1", "v3", end=datetime.fromisoformat(first_of_v3)).exception  # type: ignore[misc]


def test_invalid_range_is_rejected(of_many: Filled) -> None:
    with pytest.raises(OperatorError, match="is empty"):
        raise of_many.compare("v1", "v2", start=of_many.end, end=of_many.start).exception  # type: ignore[misc]


def test_unprovisioned_stack_error_names_the_command(cluster: Cluster) -> None:
    nowhere = Filled(cluster=cluster, documents=[], start=START, end=END)
    with pytest.raises(OperatorError, match=f"inferlog provision --namespace {cluster.namespace}"):
        raise nowhere.compare("v1", "v2").exception  # type: ignore[misc]


def test_silent_cluster_is_named() -> None:
    silent = Filled(cluster=Cluster(url="http://127.0.0.1:1"), documents=[], start=START, end=END)
    with pytest.raises(OperatorError, match=r"reading the events: no answer from http://127\.0\.0\.1:1"):
        raise silent.compare("v1", "v2").exception  # type: ignore[misc]


def test_later_documents_are_not_in_any_page(provisioned: Cluster) -> None:
    event: Document = {"@timestamp": START.isoformat(), "model_version": "v1", "latency_seconds": 1.0}
    index(provisioned, "events", [{**event, "event": {"id": "early"}}])
    with snapshot.Snapshot.open_events(provisioned) as taken:
        index(provisioned, "events", [{**event, "event": {"id": "late"}}])
        pages = list(taken.read_pages({"match_all": {}}, ["event.id"]))
    assert pages == [[{"event.id": ["early"]}]]


def test_snapshot_is_closed(provisioned: Cluster) -> None:
    with provisioned.build_client() as client:
        with snapshot.Snapshot.open_events(provisioned) as taken:
            client.search(pit={"id": taken._point.id})
        with pytest.raises(NotFoundError):
            client.search(pit={"id": taken._point.id})


def test_events_later_than_a_range_that_ends_now_are_counted(provisioned: Cluster) -> None:
    now = datetime.now(UTC)
    for number, (version, ahead) in enumerate([("v1", 0), ("v2", 0), ("v2", 600)]):
        event = {
            "@timestamp": (now + timedelta(seconds=ahead)).isoformat(),
            "event": {"id": f"e{number}"},
            "model_version": version,
            "status": "success",
            "latency_seconds": 0.5,
        }
        index(provisioned, "events", [event])
    arguments = ["v1", "v2", "--url", provisioned.url, "--namespace", provisioned.namespace]
    assert "1 event is later than the end of the range" in CliRunner().invoke(app, arguments).stderr
    (note,) = orjson.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["notes"]
    assert (note["kind"], note["count"]) == ("future_events", 1)


@pytest.mark.parametrize(
    ("there", "complaint"),
    [(["v1"], "model version 'v2' has no events"), ([], "holds no events")],
)
def test_error_names_events_later_than_a_range_that_ends_now(
    provisioned: Cluster, there: list[str], complaint: str
) -> None:
    now = datetime.now(UTC)
    moments = [*((version, now) for version in there), ("v2", now + timedelta(minutes=10))]
    index(
        provisioned,
        "events",
        [
            {"@timestamp": moment.isoformat(), "event": {"id": version}, "model_version": version}
            for version, moment in moments
        ],
    )
    arguments = ["v1", "v2", "--url", provisioned.url, "--namespace", provisioned.namespace]
    with pytest.raises(OperatorError, match=f"{complaint} .* 1 event is later than the end of the range"):
        raise CliRunner().invoke(app, arguments).exception  # type: ignore[misc]
