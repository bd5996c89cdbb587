"""Cost of requests."""

from datetime import datetime

from tests.golden.reading import Document, Row, by_version, of_stream, values


def _costs(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    hours = (end - start).total_seconds() / 3600
    priced = [each for each in of_stream(documents, "events") if "cost_usd" in each]

    def figures(each: list[Document]) -> Row:
        cost = sum(values(each, "cost_usd"))
        return {
            "requests": len(each),
            "cost_usd": cost,
            "cost_usd_per_hour": cost / hours,
            "cost_usd_per_1000_requests": 1000 * cost / len(each),
        }

    return by_version(priced, figures)


ANSWERS = {"costs": _costs}
