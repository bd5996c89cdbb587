"""A few hundred known documents, and plain Python that answers each saved question about them."""

from golden.answers import expected
from golden.documents import END, START, Golden, golden
from golden.reading import Document, Row

__all__ = ["END", "START", "Document", "Golden", "Row", "expected", "golden"]
