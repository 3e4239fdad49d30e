"""CSV: one row a document, nested fields joined with `_`, lists as counts. Text cells cannot become formulas."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence

from ivcrush.application.documents import Document, Json
from ivcrush.utils.text import csv_cell, printable


def csv_text(documents: Sequence[Document]) -> str:
    """A header over the fields of all rows in their first order, then the rows; empty without rows."""
    return "".join(csv_pieces(lambda: documents))


def csv_pieces(documents: Callable[[], Iterable[Document]]) -> Iterator[str]:
    """The same, a row a piece; the documents are gone through twice, the first time for their fields."""
    header = list(dict.fromkeys(name for document in documents() for name, _ in _fields(document)))
    if header:
        yield _line(header)
    for document in documents():
        row = dict(_fields(document))
        yield _line([_cell(row.get(name)) for name in header])


def _line(cells: Sequence[str | float | int]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def _fields(value: Document, prefix: str = "") -> Iterator[tuple[str, Json]]:
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, dict):
            yield from _fields(inner, f"{name}_")
        else:
            yield name, len(inner) if isinstance(inner, list) else inner


def _cell(value: Json) -> str | float | int:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return csv_cell(printable(value, 500)) if isinstance(value, str) else value  # type: ignore[return-value]
