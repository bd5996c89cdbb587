"""Cost of requests."""

from datetime import datetime

from tests.golden.reading import Document, Row, compute_by_version, list_values, select_stream


def _answer_costs(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    hours = (end - start).total_seconds() / 3600
    priced = [each for each in select_stream(documents, "events") if "cost_usd" in each]

    def figures(each: list[Document]) -> Row:
        cost = sum(list_values(each, "cost_usd"))
        return {
            "requests": len(each),
            "cost_usd": cost,
            "cost_usd_per_hour": cost / hours,
            "cost_usd_per_1000_requests": 1000 * cost / len(each),
        }

    return compute_by_version(priced, figures)


ANSWERS = {"costs": _answer_costs}
