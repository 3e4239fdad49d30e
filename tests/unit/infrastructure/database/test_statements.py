"""What kept analyses said, read back out of their documents."""

from dataclasses import replace
from datetime import date, datetime

import msgspec
import pytest

from ivcrush.application.documents import analysis_document
from ivcrush.domain.analysis import (
    ExecutionQuality,
    StatedRatio,
    Statement,
    TickerAnalysis,
    UnreadableStatement,
    VrpResult,
)
from ivcrush.domain.enums import ExecutionTier, Recommendation, Timing
from ivcrush.domain.errors import Ok
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import Ticker
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.repositories.analysis_repository import AnalysisRepository
from tests.unit.infrastructure.database.snapshots import ibm_analysis

IBM, KO = Ticker("IBM"), Ticker("KO")
SAVED = datetime(2026, 5, 15, 15, 46, tzinfo=NEW_YORK)
BARE = Statement(
    number=1,
    ticker=IBM,
    report_date=date(2026, 5, 20),
    timing=Timing.AMC,
    as_of=datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK),
    simulated=False,
    expiration=date(2026, 5, 22),
    event_move_pct=4.45,
    straddle_pct=5.14,
    cost_pct=None,
    stated=None,
    recommendation=Recommendation.SKIP,
    tradeable=False,
)


def keep(database: Database, analysis: TickerAnalysis) -> None:
    document = msgspec.json.encode(analysis_document(analysis))
    kept = AnalysisRepository(database).save_analysis(analysis, document, "run-1", SAVED)
    assert isinstance(kept, Ok)


def about(ticker: Ticker, day: date) -> TickerAnalysis:
    """The bare analysis of another report."""
    analysis = ibm_analysis()
    request = replace(analysis.snapshot.request, ticker=ticker, report_date=day)
    return replace(analysis, snapshot=replace(analysis.snapshot, request=request))


def said(database: Database, *tickers: Ticker, since: date | None = None) -> list[tuple[str, date]]:
    found = AnalysisRepository(database).statements(tickers, since)
    assert isinstance(found, Ok)
    return [(each.ticker, each.report_date) for each in found.value]


def test_an_analysis_with_nothing_but_its_move_says_no_ratio_and_no_costs(database: Database) -> None:
    keep(database, ibm_analysis())
    assert AnalysisRepository(database).statements((), None) == Ok((BARE,))


def test_a_whole_analysis_says_ratios_probability_costs_and_verdict(database: Database) -> None:
    vrp = VrpResult(1.31, 1.51, 1.12, (0.92, 1.48), 0.83, 0.5, 0.69, 1.02, 2.7, 12)
    execution = ExecutionQuality(ExecutionTier.GOOD, 6.1, 1200, 340, 0.31, 7.0, None, 5, 41.0, 4.2)
    analysis = ibm_analysis()
    keep(
        database,
        replace(
            analysis,
            snapshot=replace(analysis.snapshot, simulated=True),
            vrp=Ok(vrp),
            execution=Ok(execution),
            recommendation=Recommendation.MARGINAL,
            tradeable=True,
        ),
    )
    whole = replace(
        BARE,
        simulated=True,
        cost_pct=0.31,
        stated=StatedRatio(ratio=1.31, shrunk_ratio=1.12, inside_probability=0.69),
        recommendation=Recommendation.MARGINAL,
        tradeable=True,
    )
    assert AnalysisRepository(database).statements((), None) == Ok((whole,))


def test_companies_and_dates_are_chosen_and_the_order_is_that_of_keeping(database: Database) -> None:
    spring, summer = date(2026, 5, 20), date(2026, 8, 19)
    for ticker, day in ((KO, summer), (IBM, spring), (KO, spring)):
        keep(database, about(ticker, day))
    assert said(database) == [(KO, summer), (IBM, spring), (KO, spring)]
    assert said(database, KO) == [(KO, summer), (KO, spring)]
    assert said(database, KO, IBM, since=date(2026, 5, 21)) == [(KO, summer)]
    assert said(database, Ticker("MSFT")) == []


def test_more_than_a_query_reads_come_all_and_in_order(database: Database) -> None:
    keep(database, ibm_analysis())
    copy = """INSERT INTO analysis_log (run_id, ticker, report_date, as_of, saved_at, document, snapshot)
        SELECT run_id, ticker, report_date, as_of, saved_at, document, x'00' FROM analysis_log WHERE number = 1"""
    written = database.write(lambda connection: [connection.execute(copy) for _ in range(10_000)])
    assert isinstance(written, Ok)
    found = AnalysisRepository(database).statements((), None)
    assert isinstance(found, Ok)
    assert [each.number for each in found.value] == list(range(1, 10_002))


@pytest.mark.parametrize(
    "document",
    [
        b"no JSON",
        b"\xff\x00",
        b"{}",
        b"[]",
        b'{"recommendation": "\xff\xfe"}',
        msgspec.json.encode({"implied_move": {"event_move_pct": 0.0}}),
    ],
)
def test_a_document_that_cannot_be_read_is_told_by_its_row_and_hides_no_other(
    database: Database, document: bytes
) -> None:
    AnalysisRepository(database).save_analysis(ibm_analysis(), document, "run-1", SAVED)
    keep(database, ibm_analysis())
    found = AnalysisRepository(database).statements((), None)
    assert isinstance(found, Ok)
    damaged, whole = found.value
    assert isinstance(damaged, UnreadableStatement)
    assert (damaged.number, damaged.ticker, damaged.report_date) == (1, IBM, "2026-05-20")
    assert damaged.fault != ""
    assert whole == replace(BARE, number=2)


def test_an_event_move_of_nothing_is_damage(database: Database) -> None:
    analysis = ibm_analysis()
    keep(database, replace(analysis, implied_move=replace(analysis.implied_move, event_move_pct=0.0)))
    fault = "event move or straddle 0 %, above 0 needed"
    assert AnalysisRepository(database).statements((), None) == Ok((UnreadableStatement(1, IBM, "2026-05-20", fault),))
