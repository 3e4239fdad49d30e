"""A document as text: a table for people, JSON for programs, CSV for spreadsheets. Adds nothing and leaves nothing out.

Works on the documents alone, so that what is shown, kept and sent is the same thing.
"""

import msgspec

from ivcrush.application.documents import Document
from ivcrush.cli.command import Style
from ivcrush.cli.render.flat import csv_text
from ivcrush.cli.render.table import analysis_table, batch_table, rows_table


def render_single(document: Document, style: Style) -> str:
    """One analysis or failure."""
    if style.form == "json":
        return json_text(document)
    return csv_text([document]) if style.form == "csv" else analysis_table(document, style)


def render_batch(document: Document, style: Style) -> str:
    """Several of them; in CSV a row each, the analyses first."""
    if style.form == "json":
        return json_text(document)
    if style.form == "csv":
        return csv_text([*rows(document, "analyses"), *rows(document, "failures")])
    return batch_table(document, style)


def render_rows(document: Document, name: str | None, style: Style) -> str:
    """A document whose rows stand under `name` (with its failures), or that is a single row itself."""
    if style.form == "json":
        return json_text(document)
    listed = [document] if name is None else [*rows(document, name), *rows(document, "failures")]
    return csv_text(listed) if style.form == "csv" else rows_table(document, listed, style)


def rows(document: Document, name: str) -> list[Document]:
    """The list of documents of that name inside a document."""
    found = document[name]
    assert isinstance(found, list)
    return [row for row in found if isinstance(row, dict)]


def json_text(document: Document) -> str:
    """Indented JSON with a last newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
