"""Becomes a user to whom the modes of files apply: root writes into read-only directories."""

import os
import pwd
import shutil
import sys
from collections.abc import Sequence

from inferlog_ops.core.children import python_module
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import cache_dir
from tests import ROOT

_NOBODY = "nobody"
# To read alone: Python, or the checkout, may lie where only root looks.
_KEPT_CAPABILITY = "-all,+dac_read_search"


def leave_root(arguments: Sequence[str]) -> None:
    """
    Run ``scripts/chaos`` with *arguments* as nobody in this process's place if it is root's; else return.

    Raises:
        OperatorError: If that cannot be done.
    """
    if os.geteuid() != 0:
        return
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise OperatorError(
            "root may write where nobody else may, so that some faults would be none, and setpriv (util-linux), "
            "which would leave root, is not installed: run this as another user"
        )
    try:
        nobody = pwd.getpwnam(_NOBODY)
    except KeyError:
        raise OperatorError(f"there is no user {_NOBODY} to run this as: run it as another user than root") from None
    command = [
        setpriv,
        *(f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *(f"--{each}={_KEPT_CAPABILITY}" for each in ("inh-caps", "ambient-caps", "bounding-set")),
        *python_module("tests.chaos", *arguments),
    ]
    sys.stderr.flush()
    # The cache of jars is root's, and is only read.
    os.execve(
        setpriv,
        command,
        os.environ | {"XDG_CACHE_HOME": str(cache_dir().parent), "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)},
    )
