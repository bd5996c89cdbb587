"""Alert rule files, up to the query and the body for Kibana: accepted completely or rejected in one sentence."""

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.kibana.capabilities import Capabilities
from inferlog_ops.provision.kibana.rules import build_rule_body
from inferlog_ops.query.dashboards import slo
from inferlog_ops.query.library import load_all
from inferlog_ops.query.rules import rules
from inferlog_ops.query.rules.condition import build_rule_query
from tests.fuzz.bent import bend

LONGEST_BYTES = 300
SEEDS = (
    b"\x01",
    b"\x01\x00\x02\x05",
    b"\x01\x00\x09\x0d",
    b"\x01\x00\x0b\xff\x00\x03\x10",
    b'\x00{"title": "t"}',
    b"\x00[]",
    b"\x00" + b"[" * 200,
    b'\x00{"title": "\\ud800"}',
    b"\x00\xff",
)
_DOCUMENT = json.loads((find_asset_dir(rules.FOLDER) / "canary_worse.json").read_text()) | {"settle": "2m"}

resources = ExitStack()
_path = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="inferlog-fuzz-"))) / "fuzz.json"
_queries = load_all()
_levels = slo.load()


def check(data: bytes) -> None:
    """Load a mutated rule."""
    _path.write_bytes(bend(_DOCUMENT, data))
    try:
        rule = rules.read(_path)
        text = build_rule_query(rule, _levels, _queries, "default")
        body = build_rule_body(rule, _levels, _queries, "default", connector="c", capabilities=Capabilities())
    except OperatorError:
        return
    assert json.loads(json.dumps(body, allow_nan=False, ensure_ascii=False).encode()) == body
    assert "{slo." not in text or "{slo." in rule.eval + rule.where + rule.threshold
    assert body["params"]["timeWindowSize"] >= 1
    assert "?_tstart" not in body["params"]["esqlQuery"]["esql"]
