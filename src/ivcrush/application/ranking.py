"""The order of a list of answers: a screen's best point ratio is mostly luck, so the posterior ranks."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec


class _Vrp(msgspec.Struct):
    edge_score: float | None = None


class _Placed(msgspec.Struct):
    ticker: str
    tradeable: bool
    vrp: _Vrp


@dataclass(frozen=True, slots=True)
class Answer:
    """One analysis as its JSON document, and what its place in a list depends on.

    `edge_score` is None where there is no VRP. `age_s` is how old it was when it was taken over from a run that was
    cut, None for one of this run. Thousands of these are held at once, so nothing else is.
    """

    ticker: str
    tradeable: bool
    edge_score: float | None
    document: bytes
    age_s: float | None = None


def answer(document: bytes, age_s: float | None = None) -> Answer:
    """The answer in a document of ours. A document that is none is a defect."""
    placed = msgspec.json.decode(document, type=_Placed)
    return Answer(placed.ticker, placed.tradeable, placed.vrp.edge_score, document, age_s)


def ranked(answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """Tradeable ones first, then by edge score, best first; without a VRP last; equals by ticker."""
    return tuple(sorted(answers, key=_place))


def _place(found: Answer) -> tuple[bool, float, str]:
    score = float("-inf") if found.edge_score is None else found.edge_score
    return not found.tradeable, -score, found.ticker
