"""Cost of an inference, from a table of prices per million tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

ANY_VERSION: Final = "*"
_MOST_BYTES = 16 * 1024 * 1024  # a device has no end
_INPUT, _OUTPUT = "input_usd_per_million_tokens", "output_usd_per_million_tokens"


class PriceTableError(ValueError):
    """An invalid price table; the message names the place, the value found and the value expected."""


@dataclass(frozen=True, slots=True)
class Price:
    """Price in US dollars of one input token and of one output token."""

    input_usd: float
    output_usd: float


class PriceTable:
    """
    Prices by model and version; ``*`` matches all versions of a model that are not listed.

    The file is JSON: ``{"my-model": {"v1": {"input_usd_per_million_tokens": 0.1, "output_usd_per_million_tokens":
    0.4}, "*": {…}}}``.
    """

    def __init__(self, prices: Mapping[tuple[str, str], Price]) -> None:
        self._prices = prices

    def compute_cost_usd(self, fields: Mapping[str, Any]) -> float | None:
        """Return the cost in US dollars of the event with *fields*; None if the price or all tokens are unknown."""
        model = fields.get("model_name", "")
        price = self._prices.get((model, fields.get("model_version", ""))) or self._prices.get((model, ANY_VERSION))
        if price is None or not ("input_tokens" in fields or "output_tokens" in fields):
            return None
        input_tokens: int = fields.get("input_tokens", 0)
        output_tokens: int = fields.get("output_tokens", 0)
        return input_tokens * price.input_usd + output_tokens * price.output_usd


def read_price_table(path: Path) -> PriceTable:
    """
    Read a price table.

    Raises:
        PriceTableError: If the file cannot be read or is not a valid price table.
    """
    try:
        with path.open("rb") as file:
            table = orjson.loads(file.read(_MOST_BYTES))
    except OSError as error:
        raise PriceTableError(f"{path} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise PriceTableError(f"{path} is not valid JSON: {error}") from error
    prices = {}
    for model, versions in _check_entries(table, f"{path}"):
        for version, price in _check_entries(versions, f"{path}: {model}"):
            where = f"{path}: {model}: {version}"
            known = dict(_check_entries(price, where))
            if known.keys() != {_INPUT, _OUTPUT}:
                raise PriceTableError(
                    f"{where} has {', '.join(sorted(known)) or 'nothing'}; expected {_INPUT}, {_OUTPUT}"
                )
            prices[model, version] = Price(
                _parse_price_per_token(known[_INPUT], where), _parse_price_per_token(known[_OUTPUT], where)
            )
    return PriceTable(prices)


def _check_entries(value: Any, where: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise PriceTableError(f"{where} is {value!r:.80}; expected an object")
    return list(value.items())


def _parse_price_per_token(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise PriceTableError(f"{where} has the price {value!r:.80}; expected a number from 0")
    return value / 1_000_000
