"""The prompts that callers choose from."""

from pathlib import Path
from typing import Final

DEFAULT_FILE: Final = Path(__file__).resolve().parent.parent / "prompts.txt"
_MOST_BYTES: Final = 1024 * 1024  # of a device there would be no end


def read_prompts(path: Path) -> tuple[str, ...]:
    """
    Return the prompts in *path*, one a line; empty lines and those that begin with ``#`` are left out.

    Raises:
        ValueError: If it cannot be read, is larger than a file of prompts may be, or holds none.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"{path} holds more than {_MOST_BYTES // 1024**2} MiB; expected prompts, one a line")
        lines = content.decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as prompts: {error}") from error
    prompts = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not prompts:
        raise ValueError(f"{path} holds no prompt; expected one a line")
    return prompts
