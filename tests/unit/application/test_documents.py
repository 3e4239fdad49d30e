"""The JSON documents: what the contract's fields hold, in its units."""

import json
import math
from dataclasses import replace
from datetime import UTC, date, datetime

import msgspec
import pytest

from ivcrush.application.documents import (
    RunFacts,
    analysis_document,
    batch_report,
    failure_document,
    moment,
    number,
)
from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.application.ranking import Answer
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.enums import SessionState, Timing
from ivcrush.domain.errors import ErrorCode, Ok, err
from ivcrush.domain.types import MissingMove
from tests.unit.infrastructure.database.snapshots import ibm_analysis
from tests.unit.metrics.snapshots import snapshot

# Every name that other people's programs may rely on, by block.
PROMISED = {
    "": "schema ticker as_of simulated earnings expiration spot forward implied_move history vrp consistency skew "
    "term_structure execution recommendation tradeable reasons flags",
    "earnings": "date timing status source moved_from",
    "implied_move": "atm_strike straddle_cost straddle_pct jump_sigma_pct event_sigma_pct event_move_pct "
    "event_move_interval_90_pct ambient_vol_pct lower upper method flags",
    "history": "quarters measure mean_abs_pct median_abs_pct max_abs_pct inside_implied moves",
    "vrp": "ratio straddle_ratio shrunk_ratio interval_90 probability_above_one inside_probability edge_score",
    "consistency": "score mad_pct weighted_mean_abs_pct trend_pct_per_quarter trend",
    "skew": "risk_reversal_25d_pct butterfly_25d_pct slope curvature direction concave",
    "term_structure": "points slope backwardation expected_iv_crush_pct",
    "execution": "tier straddle_spread_pct open_interest volume cost_pct quote_age_s",
}


@pytest.fixture(scope="module")
def document():
    missing = (MissingMove(date(2023, 2, 22), Timing.UNKNOWN, "session of the report unknown"),)
    analysis = evaluate(snapshot(missing=missing))
    assert isinstance(analysis, Ok)
    return json.loads(msgspec.json.encode(analysis_document(analysis.value)))


@pytest.mark.parametrize("block", PROMISED)
def test_every_promised_field_is_there(document, block):
    found = document[block] if block else document
    assert set(PROMISED[block].split()) <= set(found)


def test_the_head_says_what_was_asked(document):
    assert document["schema"] == "ivcrush.analysis/1"
    assert (document["ticker"], document["simulated"]) == ("IBM", False)
    assert document["as_of"] == "2026-05-15T15:45:00-04:00"
    assert document["earnings"] == {
        "date": "2026-05-20", "timing": "AMC", "status": "confirmed", "source": "alpha_vantage", "moved_from": None,
        "enter_by": "2026-05-20T16:00:00-04:00",
    }  # fmt: skip
    assert document["expiration"] == "2026-05-22"
    assert document["expirations_used"] == ["2026-05-22", "2026-05-29", "2026-06-12", "2026-06-18"]


@pytest.mark.parametrize(
    ("at", "state", "opens_at"),
    [
        ("2026-05-15T15:45:00-04:00", SessionState.OPEN, None),
        ("2026-05-15T09:00:00-04:00", SessionState.PREMARKET, "2026-05-15T09:30:00-04:00"),
        ("2026-05-15T16:30:00-04:00", SessionState.POSTMARKET, "2026-05-18T09:30:00-04:00"),
        ("2026-05-24T12:00:00-04:00", SessionState.CLOSED, "2026-05-26T09:30:00-04:00"),  # Memorial Day between
    ],
)
def test_a_shut_exchange_is_told_with_its_next_opening(at: str, state: SessionState, opens_at: str | None):
    analysis = evaluate(snapshot())
    assert isinstance(analysis, Ok)
    then = replace(analysis.value.snapshot, as_of=datetime.fromisoformat(at), session_state=state)
    exchange = analysis_document(replace(analysis.value, snapshot=then))["exchange"]
    assert exchange == {"state": state, "opens_at": opens_at}


def test_moves_are_newest_first_signed_and_in_percent(document):
    first = document["history"]["moves"][0]
    assert first == {
        "earnings_date": "2026-02-19",
        "timing": "AMC",
        "reaction_session": "2026-02-20",
        "close_to_close_pct": 2.0,
        "gap_pct": 1.0,
        "open_to_close_pct": 1.0,
        "peak_pct": 2.0,
        "flags": [],
    }
    assert document["history"]["moves"][1]["close_to_close_pct"] == -2.5
    assert document["history"]["mean_abs_pct"] == 2.5


def test_a_quarter_that_was_not_measured_is_named_with_its_reason(document):
    assert document["history"]["missing"] == [
        {"earnings_date": "2023-02-22", "timing": "UNKNOWN", "reason": "session of the report unknown"}
    ]


def test_bounds_are_dollars_around_spot(document):
    move = document["implied_move"]["event_move_pct"]
    assert document["implied_move"]["lower"] == pytest.approx(100 - move, abs=0.006)
    assert document["implied_move"]["upper"] == pytest.approx(100 + move, abs=0.006)


def test_a_term_structure_has_a_point_an_expiration_and_a_forward_between_each_two(document):
    term = document["term_structure"]
    assert [point["expiration"] for point in term["points"]] == document["expirations_used"]
    assert len(term["forward_vols_pct"]) == len(term["points"]) - 1
    # 5.04 sessions of 25 % a year of 252, told by a clock of 7.01 days of 365: 25·√(0.01999 / 0.01921) = 25.5.
    assert term["points"][0]["ex_earnings_iv_pct"] == pytest.approx(25.5, abs=1.0)


def test_a_block_that_could_not_be_computed_is_its_error():
    document = analysis_document(ibm_analysis())
    for block in ("history", "vrp", "consistency", "skew", "term_structure", "execution"):
        assert document[block] == {"error": {"code": "NODATA", "message": "IBM: 0 past moves, 4 needed"}}


def test_what_is_not_known_is_null_never_zero():
    given = snapshot()
    sides = [replace(side, quoted_at=side.quoted_at * 0) for side in (given.chains[0].calls, given.chains[0].puts)]
    event = replace(given.chains[0], calls=sides[0], puts=sides[1])
    analysis = evaluate(replace(given, chains=(event, *given.chains[1:])))
    assert isinstance(analysis, Ok)
    assert analysis_document(analysis.value)["execution"]["quote_age_s"] is None


def test_a_failure_is_its_ticker_and_its_error():
    failure = TickerFailure("NOSUCH", err(ErrorCode.NODATA, "NOSUCH: not known").error)
    assert failure_document(failure) == {
        "schema": "ivcrush.failure/1",
        "ticker": "NOSUCH",
        "error": {"code": "NODATA", "message": "NOSUCH: not known"},
    }


def test_a_batch_accounts_for_every_row():
    failures = [
        failure_document(TickerFailure("A", err(ErrorCode.NODATA, "A: none").error)),
        failure_document(TickerFailure("B", err(ErrorCode.SKIPPED, "B: never reached").error)),
    ]
    answers = [Answer("IBM", tradeable, 1.0, b"{}") for tradeable in (True, False, False)]
    facts = RunFacts(
        run_id="r-1",
        as_of=datetime(2026, 5, 15, 19, 45, tzinfo=UTC),
        simulated=False,
        depth=3,
        requests=12,
        cache_hits=3,
        elapsed_s=1.23456,
        resumed=2,
    )
    report = batch_report(answers, failures, facts)
    assert report.ages_s == ()  # none was taken over
    taken_over = replace(answers[1], age_s=90.0)
    assert batch_report([answers[0], taken_over], failures, facts).ages_s == (None, 90.0)
    assert report.head == {
        "schema": "ivcrush.batch/1",
        "run_id": "r-1",
        "as_of": "2026-05-15T15:45:00-04:00",
        "simulated": False,
        "term_structure_depth": 3,
        "summary": {
            "total": 5,
            "analysed": 3,
            "failed": 1,
            "skipped": 1,
            "tradeable": 1,
            "resumed": 2,
            "requests": 12,
            "cache_hits": 3,
            "elapsed_s": 1.235,
        },
    }
    assert (report.analyses, report.failures) == ((b"{}",) * 3, tuple(failures))


def test_numbers_are_rounded_and_never_minus_zero():
    assert number(1.23456) == 1.2346
    assert number(-5.125, 2) == -5.12
    assert math.copysign(1, number(-0.00001)) == 1.0


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (datetime(2026, 1, 15, 20, 45, 59, 999_999, tzinfo=UTC), "2026-01-15T15:45:59-05:00"),
        (datetime(2026, 7, 15, 19, 45, tzinfo=UTC), "2026-07-15T15:45:00-04:00"),
    ],
)
def test_moments_are_new_york_time_with_offset(given, shown):
    assert moment(given) == shown
