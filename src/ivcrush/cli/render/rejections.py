"""Who is not in the list of a scan: in CSV a row each, in the table the near misses, then the names by reason.

A near miss lacks little: a ratio just below the asked one, or one that is rich and cannot be traded.
"""

from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import Final

from ivcrush.application.documents import Document
from ivcrush.domain.enums import LeftOut
from ivcrush.utils.text import printable

# A screen of near misses, and names of a line each; the document has all.
MOST_SHOWN = 20
_WORDS: Final = MappingProxyType(
    {
        LeftOut.TOO_LATE: "too late to enter",
        LeftOut.NOT_LISTED: "that the market data provider does not know",
        LeftOut.MARKET_CAP: "with a capitalisation below MIN_MARKET_CAP_MILLIONS",
        LeftOut.DOLLAR_VOLUME: "with a daily dollar volume below MIN_DOLLAR_VOLUME_MILLIONS",
        LeftOut.NO_DATA: "without usable options or data",
        LeftOut.NO_VRP: "without a ratio",
        LeftOut.VRP_RATIO: "with a ratio below {min_vrp}",
        LeftOut.RANK: "behind the first {top}",
    }
)


def rejection_row(rejected: Document) -> Document:
    """The document with its reasons as one text: in a list they would be a count."""
    reasons = rejected["reasons"]
    assert isinstance(reasons, list)
    return {**rejected, "reasons": len(reasons), "why": "; ".join(map(str, reasons))}


def rejection_lines(head: Document, analyses: Iterable[Document], rejected: Sequence[Document]) -> Iterator[str]:
    """What follows the table of a scan; a line a piece. `head` holds what was asked for."""
    near = [_near_line(each, _texts(each, "reasons")) for each in rejected if each["near_miss"] is True]
    near += [_near_line(each, _objections(each)) for each in analyses if _is_rich(each) and each["tradeable"] is False]
    if near:
        yield "\nnear misses:\n"
        yield from (f"  {line}\n" for line in near[:MOST_SHOWN])
        yield from [f"  and {len(near) - MOST_SHOWN} more\n"] if len(near) > MOST_SHOWN else []
    if rejected:
        yield "\nleft out:\n"
        yield from (f"  {line}\n" for line in _named(head, rejected))


def _named(head: Document, rejected: Sequence[Document]) -> Iterator[str]:
    """The names by reason, the commonest reason first."""
    by_code: dict[LeftOut, list[str]] = {}
    for each in rejected:
        by_code.setdefault(LeftOut(str(each["code"])), []).append(str(each["ticker"]))
    asked = head["scan"]
    assert isinstance(asked, dict)
    for code, names in sorted(by_code.items(), key=lambda item: -len(item[1])):
        more = f" and {len(names) - MOST_SHOWN} more; --format json tells all" if len(names) > MOST_SHOWN else ""
        why = _WORDS[code].format(min_vrp=asked["min_vrp"], top=asked["top"])
        yield f"{len(names)} {why}: {printable(', '.join(names[:MOST_SHOWN]), 600)}{more}"


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
