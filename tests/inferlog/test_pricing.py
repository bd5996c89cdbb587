import json
from pathlib import Path

import pytest

import inferlog
from inferlog.pricing import PriceTableError, read_price_table
from tests.support.logfiles import Logs

PRICE = {"input_usd_per_million_tokens": 2, "output_usd_per_million_tokens": 8.5}


def test_tokens_times_price_is_event_cost(tmp_path: Path) -> None:
    (tmp_path / "prices.json").write_text(
        json.dumps({"m": {"v1": PRICE, "*": {**PRICE, "output_usd_per_million_tokens": 1}}})
    )
    inferlog.configure(service_name="scoring", log_dir=tmp_path / "logs", price_file=tmp_path / "prices.json")
    for version in ("v1", "v9"):
        with inferlog.track_performance("chat", model_name="m", model_version=version) as call:
            call.input_tokens = 1000
            call.output_tokens = 200
    with inferlog.track_performance("chat", model_name="m", model_version="v1", cost_usd=0.5, input_tokens=7):
        pass
    with inferlog.track_performance("chat", model_name="unknown", model_version="v1", input_tokens=7):
        pass
    with inferlog.track_performance("chat", model_name="m", model_version="v1"):
        pass
    inferlog.shutdown()
    costs = [event.get("cost_usd") for event in Logs(tmp_path / "logs").events]
    assert costs == [0.0037, 0.0022, 0.5, None, None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is \\[\\]; expected an object"),
        ("{", "is not valid JSON"),
        ('{"m": 5}', "m is 5; expected an object"),
        ('{"m": {"v1": {}}}', "m: v1 has nothing; expected input_usd_per_million_tokens"),
        (
            json.dumps({"m": {"v1": {**PRICE, "input_usd_per_million_tokens": "2"}}}),
            "has the price '2'; expected a number",
        ),
        (
            json.dumps({"m": {"v1": {**PRICE, "input_usd_per_million_tokens": -1}}}),
            "has the price -1; expected a number",
        ),
    ],
)
def test_invalid_table_error_names_place_and_value(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(content)
    with pytest.raises(PriceTableError, match=message):
        read_price_table(path)
    with pytest.raises(inferlog.SettingsError, match="price_file"):
        inferlog.configure(service_name="scoring", log_dir=tmp_path, price_file=path)
