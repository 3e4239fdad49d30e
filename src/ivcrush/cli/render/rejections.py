"""Who is not in the list of a scan: in CSV a row each, in the table the near misses with their reasons and a count.

A near miss lacks little: a ratio just below the asked one, or one that is rich and cannot be traded.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ivcrush.application.documents import Document
from ivcrush.utils.text import printable

# A screen of them; the document has all.
MOST_SHOWN = 20


def rejection_row(rejected: Document) -> Document:
    """The document with its reasons as one text: in a list they would be a count."""
    reasons = rejected["reasons"]
    assert isinstance(reasons, list)
    return {**rejected, "reasons": len(reasons), "why": "; ".join(map(str, reasons))}


def rejection_lines(analyses: Iterable[Document], rejected: Sequence[Document]) -> Iterator[str]:
    """What follows the table of a scan; a line a piece."""
    near = [_near_line(each, _texts(each, "reasons")) for each in rejected if each["near_miss"] is True]
    near += [_near_line(each, _objections(each)) for each in analyses if _is_rich(each) and each["tradeable"] is False]
    if near:
        yield "\nnear misses:\n"
        yield from (f"  {line}\n" for line in near[:MOST_SHOWN])
        yield from [f"  and {len(near) - MOST_SHOWN} more\n"] if len(near) > MOST_SHOWN else []
    if rejected:
        counts = Counter(str(each["code"]).replace("_", " ") for each in rejected)
        yield f"\nleft out: {', '.join(f'{count} {code}' for code, count in counts.most_common())}\n"


def _near_line(document: Document, reasons: Sequence[str]) -> str:
    return printable(f"{document['ticker']}: {'; '.join(reasons)}", 600)


def _is_rich(analysis: Document) -> bool:
    return analysis["recommendation"] != "skip"


def _objections(analysis: Document) -> list[str]:
    return [text.removeprefix("against: ") for text in _texts(analysis, "reasons") if text.startswith("against: ")]


def _texts(document: Document, name: str) -> list[str]:
    found = document[name]
    assert isinstance(found, list)
    return [str(each) for each in found]
