"""Change of user from root to nobody: root ignores file modes and writes into read-only directories."""

import os
import pwd
import shutil
import sys
from collections.abc import Sequence

from inferlog_ops.core.children import build_module_command
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import find_cache_dir
from tests import ROOT

_NOBODY = "nobody"
# Read access only: Python or the checkout may be in a directory that only root can read.
_KEPT_CAPABILITY = "-all,+dac_read_search"


def leave_root(arguments: Sequence[str]) -> None:
    """
    Replace this process by ``scripts/chaos`` with *arguments* as the user nobody if it runs as root.

    Raises:
        OperatorError: If setpriv or the user nobody is missing.
    """
    if os.geteuid() != 0:
        return
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise OperatorError(
            "root ignores file modes, so some faults have no effect, and setpriv (util-linux) is not installed: "
            "install it, or run this as another user"
        )
    try:
        nobody = pwd.getpwnam(_NOBODY)
    except KeyError:
        raise OperatorError(f"the user {_NOBODY} does not exist: run this as a user other than root") from None
    command = [
        setpriv,
        *(f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *(f"--{each}={_KEPT_CAPABILITY}" for each in ("inh-caps", "ambient-caps", "bounding-set")),
        *build_module_command("tests.chaos", *arguments),
    ]
    sys.stderr.flush()
    # The cache of jars belongs to root and is only read.
    os.execve(
        setpriv,
        command,
        os.environ | {"XDG_CACHE_HOME": str(find_cache_dir().parent), "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)},
    )
