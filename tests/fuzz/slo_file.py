"""Files of service levels, up to panels and rules: accepted completely or rejected in one sentence."""

import tempfile
from contextlib import ExitStack
from math import isfinite
from pathlib import Path

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards import slo
from inferlog_ops.query.dashboards.files import Dashboard
from inferlog_ops.query.dashboards.render import fill_levels
from inferlog_ops.query.rules import rules
from inferlog_ops.query.rules.condition import fill_levels as levels_in
from tests.fuzz.bent import bend

LONGEST_BYTES = 300
SEEDS = (
    b"\x01",
    b"\x01\x00\x01\x05",
    b"\x01\x00\x08\x16",
    b"\x01\x00\x0a\xff",
    b'\x00{"p99_latency_seconds": 3}',
    b'\x00{"p99_latency_seconds": 1' + b"0" * 280 + b"}",
    b'\x00{"error_rate": NaN}',
    b'\x00{"model_versions": {"v\\"3": {"error_rate": 1e-300}}}',
    b"\x00[]",
    b"\x00" + b'{"a":' * 50,
    b"\x00\xff",
)
_DOCUMENT = {
    "p99_latency_seconds": 5,
    "error_rate": 0.01,
    "model_versions": {"v3": {"error_rate": 0.05}, 'v"4': {"p99_latency_seconds": 1e3}},
}

resources = ExitStack()
_path = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="inferlog-fuzz-"))) / "slo.json"
_ours = slo.read(find_asset_dir("dashboards") / "slo.json")
_TEXTS = [f"{{slo.{name}}}" for name in ("p99_latency_seconds", "error_rate")]
_dashboard = Dashboard(id="fuzz", path=_path, body={"title": "Fuzz", "texts": [*_TEXTS, " ".join(_TEXTS)]})
_rules = [each for each in rules.load_all().values() if "{slo." in each.where]


def check(data: bytes) -> None:
    """Load a mutated file of service levels."""
    _path.write_bytes(bend(_DOCUMENT, data))
    try:
        theirs = slo.read(_path, known=_ours.default)
    except OperatorError:
        return
    levels = slo.ServiceLevels(default={**_ours.default, **theirs.default}, by_model_version=theirs.by_model_version)
    for promised in (levels.default, *levels.by_model_version.values()):
        assert all(isfinite(float(figure)) and figure > 0 for figure in promised.values())
    *figures, text = fill_levels(_dashboard, levels)["texts"]
    assert text == " ".join(f"{figure:g}" for figure in figures)
    for rule in _rules:
        condition = levels_in(rule, rule.where, levels)
        # A version's name is quoted and escaped.
        assert condition.count("\n") == rule.where.count("\n")
        assert condition.replace("\\\\", "").replace('\\"', "").count('"') % 2 == 0
