"""Service levels for panel colours and alert rules: dashboards/slo.json, or the user's file."""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.files import read_json

SETTING = "INFERLOG_SLO_FILE"
REFERENCE = re.compile(r"\{slo\.([a-z0-9_]+)\}")
"""Reference to a service level in a dashboard or rule: ``{slo.NAME}``."""

_OF_MODEL_VERSIONS = "model_versions"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLevels:
    """
    Service levels, in total and by model version.

    Attributes:
        default: Name to figure, such as ``p99_latency_seconds`` (s) or ``error_rate`` (0 to 1, the error budget).
        by_model_version: Levels that differ for a model version: version, then name to figure.
    """

    default: Mapping[str, float]
    by_model_version: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def find_default(self, name: str, file: str) -> float:
        """
        Return the level *name* in total, to which *file* refers.

        Raises:
            OperatorError: If it is unknown.
        """
        if name not in self.default:
            raise OperatorError(
                f"{file} refers to the unknown service level {name!r}; expected one of {', '.join(self.default)}"
            )
        return self.default[name]


def load() -> ServiceLevels:
    """
    Return the levels of the file in ``INFERLOG_SLO_FILE``, or of dashboards/slo.json.

    Levels missing in the user's file are taken from dashboards/slo.json.

    Raises:
        OperatorError: If the file cannot be read, is not valid JSON, or has an unknown name or an invalid value.
    """
    ours = read(find_asset_dir("dashboards") / "slo.json")
    named = os.environ.get(SETTING)
    if not named:
        return ours
    theirs = read(Path(named), known=ours.default)
    return ServiceLevels(default={**ours.default, **theirs.default}, by_model_version=theirs.by_model_version)


def read(path: Path, *, known: Mapping[str, float] | None = None) -> ServiceLevels:
    """
    Read the levels in *path*; with *known*, any other name is an error.

    Raises:
        OperatorError: As `load`.
    """
    table = read_json(path, f"the file of service levels {path}", exit_code=2)
    if not isinstance(table, dict):
        raise OperatorError(f"{path} is {_name_kind(table)}; expected an object as in dashboards/slo.json", exit_code=2)
    by_version = table.pop(_OF_MODEL_VERSIONS, {})
    if not isinstance(by_version, dict):
        raise OperatorError(
            f"{path}: {_OF_MODEL_VERSIONS} is {_name_kind(by_version)}; expected version names with their levels",
            exit_code=2,
        )
    default = _read_levels(path, table, known)
    return ServiceLevels(
        default=default,
        by_model_version={
            version: _read_levels(path, levels, known or default, of=f"{_OF_MODEL_VERSIONS}.{version}.")
            for version, levels in by_version.items()
        },
    )


def _read_levels(path: Path, table: Any, known: Mapping[str, float] | None, *, of: str = "") -> dict[str, float]:
    if not isinstance(table, dict):
        raise OperatorError(
            f"{path}: {of.rstrip('.')} is {_name_kind(table)}; expected names with figures", exit_code=2
        )
    for name, value in table.items():
        if known is not None and name not in known:
            raise OperatorError(
                f"{path}: {of}{name} is not a service level; expected one of {', '.join(known)}", exit_code=2
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise OperatorError(f"{path}: {of}{name} is {json.dumps(value)}; expected a number above 0", exit_code=2)
    return table


def _name_kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a string", type(None): "null"}.get(type(value), "a number")
