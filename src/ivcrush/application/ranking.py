"""The order of a list of analyses: a screen's best point ratio is mostly luck, so the posterior ranks."""

from collections.abc import Sequence

from ivcrush.domain.analysis import TickerAnalysis
from ivcrush.domain.errors import Ok


def ranked(analyses: Sequence[TickerAnalysis]) -> tuple[TickerAnalysis, ...]:
    """Tradeable ones first, then by edge score, best first; without a VRP last; equals by ticker."""
    return tuple(sorted(analyses, key=_place))


def _place(analysis: TickerAnalysis) -> tuple[bool, float, str]:
    score = analysis.vrp.value.edge_score if isinstance(analysis.vrp, Ok) else float("-inf")
    return not analysis.tradeable, -score, analysis.ticker
