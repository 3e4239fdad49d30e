"""A document of facts as text: its plain members one a line and its list as a table, or JSON, or CSV."""

from collections.abc import Iterator

from ivcrush.application.documents import Document, Json
from ivcrush.cli.command import Style
from ivcrush.cli.render.documents import json_text, rows
from ivcrush.cli.render.flat import csv_text
from ivcrush.cli.render.table import age_text, aligned
from ivcrush.utils.text import printable

_SIMULATED = "SIMULATED MARKET: what is kept below is invented"
_UNSHOWN = {"schema", "simulated"}
_LONGEST_CELL = 300


def render_facts(document: Document, listed: str | None, style: Style) -> str:
    """`listed` names the member that is a list of documents; CSV has a row for each of them, else one in all."""
    if style.form == "json":
        return json_text(document)
    if style.form == "csv":
        plain = [document] if listed is None else rows(document, listed)
        return csv_text([row | {"simulated": document["simulated"]} for row in plain])
    lines = [_SIMULATED, ""] if style.simulated else []
    lines += [f"{name:<20}  {text}" for name, text in _facts(document, listed)]
    if listed is not None:
        lines += ["", *_table(rows(document, listed), f"no {listed}")]
    return "\n".join(lines) + "\n"


def _facts(document: Document, listed: str | None) -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield name.replace("_", " "), ""
            yield from ((f"  {key}", _text(key, inner)) for key, inner in value.items())
        elif name not in _UNSHOWN and name != listed:
            yield name.replace("_", " "), _text(name, value)


def _table(documents: list[Document], nothing: str) -> list[str]:
    if not documents:
        return [nothing]
    header = [name.removesuffix("_s").replace("_", " ") for name in documents[0]]
    return aligned([header, *([_text(name, value) for name, value in row.items()] for row in documents)])


def _text(name: str, value: Json) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return age_text(value) if name == "age_s" else str(value)
    if isinstance(value, list):
        return "; ".join(printable(str(each), _LONGEST_CELL) for each in value) or "none"
    return printable(str(value), _LONGEST_CELL)
