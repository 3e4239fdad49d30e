"""How tables look into a document: its blocks, and what came from outside made harmless."""

from ivcrush.application.documents import Document
from ivcrush.utils.text import printable

_LONGEST = 300


def part_of(document: Document, name: str) -> Document:
    """A block that every such document has."""
    found = document[name]
    assert isinstance(found, dict)
    return found


def safe(value: object) -> str:
    """Anything from outside, as a terminal may be given it."""
    return printable(str(value), _LONGEST)
