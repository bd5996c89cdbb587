"""Golden documents, and plain Python functions that compute the answer of each saved query."""

from tests.golden.answers import expected
from tests.golden.documents import END, START, Golden, golden
from tests.golden.reading import Document, Row

__all__ = ["END", "START", "Document", "Golden", "Row", "expected", "golden"]
