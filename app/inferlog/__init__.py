"""inferlog."""
from inferlog._version import __version__
__all__ = ["__version__"]
