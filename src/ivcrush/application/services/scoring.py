"""Holds the kept analyses against the moves that were measured since. Reads what is stored; asks no provider.

Gathers company by company and thinks afterwards: the pairing and the figures are `metrics/report_pairs`' and
`metrics/scorecard`'s.
"""

from collections import defaultdict
from datetime import datetime

from ivcrush.application.metrics.report_pairs import pair_reports
from ivcrush.application.metrics.scorecard import score_reports
from ivcrush.application.services.history_needs import stored_reports
from ivcrush.domain.analysis import Statement, UnreadableStatement
from ivcrush.domain.enums import Unscored
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.protocols import AnalysisStore, EarningsStore, PriceStore
from ivcrush.domain.score import Score, ScoredReport, ScoreQuestion, UnscoredStatement
from ivcrush.domain.types import SAME_REPORT, Ticker


class Scoring:
    """Scores the analyses of one database."""

    def __init__(self, analyses: AnalysisStore, prices: PriceStore, earnings: EarningsStore) -> None:
        self._analyses = analyses
        self._prices = prices
        self._earnings = earnings

    def score(self, question: ScoreQuestion, now: datetime) -> Result[Score]:
        """Every analysis asked about, scored or with its reason; reports by company and date. Errors: DBERROR."""
        found = self._analyses.statements(question.tickers, question.since)
        if isinstance(found, Err):
            return found
        by_company: dict[Ticker, list[Statement]] = defaultdict(list)
        unscored: list[UnscoredStatement] = []
        for statement in found.value:
            if isinstance(statement, UnreadableStatement):
                unscored.append(UnscoredStatement(statement, Unscored.UNREADABLE, statement.fault))
            elif statement.simulated == question.simulated:
                by_company[statement.ticker].append(statement)
            else:
                unscored.append(UnscoredStatement(statement, Unscored.OTHER_MARKET))
        scored: list[ScoredReport] = []
        for ticker in sorted(by_company):
            paired = self._paired(ticker, by_company[ticker], now)
            if isinstance(paired, Err):
                return paired
            scored += paired.value[0]
            unscored += paired.value[1]
        return Ok(Score(tuple(scored), tuple(unscored), score_reports(scored) if scored else None))

    def _paired(
        self, ticker: Ticker, statements: list[Statement], now: datetime
    ) -> Result[tuple[tuple[ScoredReport, ...], tuple[UnscoredStatement, ...]]]:
        stored = stored_reports(self._prices, ticker, now.astimezone(NEW_YORK).date())
        if isinstance(stored, Err):
            return stored
        dates = [each.report_date for each in statements]
        expected = self._earnings.scheduled(ticker, min(dates) - SAME_REPORT, max(dates) + SAME_REPORT)
        if isinstance(expected, Err):
            return expected
        return Ok(pair_reports(statements, stored.value, expected.value, now, MarketCalendar()))
