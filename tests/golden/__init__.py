"""A few hundred known documents, and plain Python that answers each saved question about them."""

from tests.golden.answers import expected
from tests.golden.documents import END, START, Golden, golden
from tests.golden.reading import Document, Row

__all__ = ["END", "START", "Document", "Golden", "Row", "expected", "golden"]
