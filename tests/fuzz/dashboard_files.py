"""Dashboard files, up to the preview page: accepted or rejected in one sentence."""

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.preview.controls import Selection, build_filter, list_controls
from inferlog_ops.preview.layout import lay_out
from inferlog_ops.query.dashboards import files, slo
from inferlog_ops.query.dashboards.panels import list_panels
from inferlog_ops.query.dashboards.render import fill_levels
from inferlog_ops.query.library import load_all
from tests.fuzz.bent import bend

LONGEST_BYTES = 400
SEEDS = (
    b"\x01",
    b"\x01\x00\x05\x00",
    b"\x01\x00\x0c\xff",
    b"\x01\x00\x11\x16\x00\x14\x80",
    b'\x00{"title": "Test", "panels": []}',
    b'\x00{"title": 7}',
    b"\x00[]",
    b"\x00" + b"[" * 300,
    b'\x00{"title":"\xff"}',
)
_SOURCE = {"type": "esql", "query": "queries/error_rate.esql"}
_DOCUMENT = {
    "title": "Test",
    "description": "{slo.error_rate}",
    "time_range": {"from": "now-1h", "to": "now"},
    "pinned_panels": [
        {
            "type": "options_list_control",
            "id": "model-version",
            "config": {
                "title": "Version",
                "field_name": "model_version",
                "data_view_id": "inferlog-events",
                "selected_options": ["v1"],
                "sort": {"by": "_key", "direction": "asc"},
                "display_settings": {"placeholder": "Any"},
            },
        }
    ],
    "panels": [
        {"type": "markdown", "id": "text", "grid": {"x": 0, "y": 0}, "config": {"content": "# A\n\n[b](#/view/x) *c*"}},
        {
            "type": "vis",
            "id": "tile",
            "grid": {"x": 0, "y": 4},
            "config": {"data_source": _SOURCE, "metrics": [{"column": "rate", "background_chart": {"type": "trend"}}]},
        },
        {
            "title": "Section",
            "collapsed": True,
            "grid": {"y": 9},
            "panels": [
                {"type": "vis", "grid": {"x": 0}, "config": {"layers": [{"type": "line", "data_source": _SOURCE}]}}
            ],
        },
    ],
}

resources = ExitStack()
_path = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="inferlog-fuzz-"))) / "inferlog-fuzz.json"
_queries = load_all()
_levels = slo.load()


def check(data: bytes) -> None:
    """Load a mutated dashboard."""
    _path.write_bytes(bend(_DOCUMENT, data))
    try:
        dashboard = files.read(_path)
        filled = fill_levels(dashboard, _levels)
        page = lay_out(dashboard.id, filled, _queries, "default")
    except OperatorError:
        return
    # Valid JSON: no NaN or infinity, no lone surrogate.
    assert json.loads(json.dumps(page, allow_nan=False, ensure_ascii=False).encode()) == page
    known = {panel.id for panel in list_panels(filled)}
    assert {panel["id"] for item in page["items"] for panel in item.get("panels", [item])} == known
    for control in list_controls(filled):
        if control.field is not None:
            assert build_filter([Selection(field=control.field, value="v1")], [control])
