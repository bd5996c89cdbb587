"""Files that the commands read: templates, queries, lock files."""

from pathlib import Path

from inferlog_ops.core.errors import OperatorError

_PACKAGE = Path(__file__).resolve().parents[1]


def find_asset_dir(name: str) -> Path:
    """
    Return the folder *name* ("infra/elasticsearch", "dashboards/queries"), relative to the repository's root.

    In a checkout this is the folder itself, so that an edit takes effect at once; an installed wheel contains copies.

    Raises:
        OperatorError: If neither exists, which means a broken installation.
    """
    for root in (_PACKAGE.parent.parent, _PACKAGE / "_assets"):
        if (root / name).is_dir():
            return root / name
    raise OperatorError(f"the folder {name} is missing from this installation of inferlog; install it again")
