"""The files the commands work with: templates, queries, lock files."""

from pathlib import Path

from inferlog_ops.core.errors import OperatorError

_PACKAGE = Path(__file__).resolve().parents[1]


def asset_dir(name: str) -> Path:
    """
    Return the folder *name* ("infra/elasticsearch", "dashboards/queries"), relative to the repository's root.

    In a checkout that is the folder itself, so that an edit is in force at once; an installed wheel carries copies.

    Raises:
        OperatorError: If neither is there, which means a broken installation.
    """
    for root in (_PACKAGE.parent.parent, _PACKAGE / "_assets"):
        if (root / name).is_dir():
            return root / name
    raise OperatorError(f"the folder {name} is missing from this installation of inferlog; install it again")
