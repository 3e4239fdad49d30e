"""A document as text: a table for people, JSON for programs, CSV for spreadsheets. Adds nothing and leaves nothing out.

Works on the documents alone, so that what is shown, kept and sent is the same thing.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from ivcrush.application.documents import BatchReport, Document
from ivcrush.cli.command import Style
from ivcrush.cli.render.flat import csv_pieces, csv_text
from ivcrush.cli.render.rejections import rejection_lines, rejection_row
from ivcrush.cli.render.table import analysis_table, batch_table, rows_table


def render_single(document: Document, style: Style) -> str:
    """One analysis or failure."""
    if style.form == "json":
        return json_text(document)
    return csv_text([document]) if style.form == "csv" else analysis_table(document, style)


def render_batch(report: BatchReport, style: Style) -> Iterator[str]:
    """Several of them, piece by piece; in CSV a row each, the analyses first."""
    rejected = report.rejected or ()
    if style.form == "json":
        return _batch_json(report)
    if style.form == "csv":
        return csv_pieces(lambda: chain(map(_read, report.analyses), report.failures, map(rejection_row, rejected)))
    table = batch_table(report.head, map(_read, report.analyses), report.failures, style, report.ages_s)
    if report.rejected is None:
        return table
    return chain(table, rejection_lines(report.head, map(_read, report.analyses), rejected))


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


def _batch_json(report: BatchReport) -> Iterator[str]:
    """The head with its lists as last members: as if it were one document, of which only a part is ever held."""
    yield json_text(report.head).removesuffix("\n}\n")
    yield from _json_list("analyses", (_indented(msgspec.json.format(each, indent=2)) for each in report.analyses))
    yield from _json_list("failures", (_indented(_json(each)) for each in report.failures))
    if report.rejected is not None:
        yield from _json_list("rejected", (_indented(_json(each)) for each in report.rejected))
    yield "\n}\n"


def _json_list(name: str, items: Iterable[str]) -> Iterator[str]:
    yield f',\n  "{name}": ['
    between = ""
    for item in items:
        yield f"{between}\n    {item}"
        between = ","
    yield "\n  ]" if between else "]"


def _indented(document: bytes) -> str:
    return document.decode().replace("\n", "\n    ")


def _read(document: bytes) -> Document:
    found: Document = msgspec.json.decode(document)
    return found


def json_text(document: Document) -> str:
    """Indented JSON with a last newline."""
    return _json(document).decode() + "\n"


def _json(document: Document) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2)
