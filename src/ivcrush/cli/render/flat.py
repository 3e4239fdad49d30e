"""CSV: one row a document, nested fields joined with `_`, lists as counts. Text cells cannot become formulas."""

import csv
import io
from collections.abc import Iterator, Sequence

from ivcrush.application.documents import Document, Json
from ivcrush.utils.text import csv_cell, printable


def csv_text(documents: Sequence[Document]) -> str:
    """A header over the fields of all rows in their first order, then the rows; empty without rows."""
    if not documents:
        return ""
    flattened = [dict(_fields(document)) for document in documents]
    header = list(dict.fromkeys(name for row in flattened for name in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(row.get(name)) for name in header] for row in flattened)
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
