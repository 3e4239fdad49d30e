"""The verdict: what makes an answer tradeable, and each thing that speaks against it, alone."""

import re
from dataclasses import replace
from datetime import date

import msgspec
import numpy as np
import pytest

from ivcrush.application.documents import analysis_document
from ivcrush.application.metrics.evaluation import DOUBTS, evaluate
from ivcrush.domain.enums import DateStatus, ExecutionTier, Recommendation, SessionState, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.types import MissingMove
from ivcrush.infrastructure.database.snapshot_codec import decode_snapshot, encode_snapshot
from tests.unit.metrics.snapshots import EVENT_MOVE_PCT, EXPIRATIONS, snapshot


def evaluated(given=None, **changes):
    result = evaluate(given if given is not None else snapshot(**changes))
    assert isinstance(result, Ok), result
    return result.value


def objections(analysis):
    return [reason for reason in analysis.reasons if reason.startswith("against: ")]


def event_put_changed(given, **values):
    """The same snapshot with the event's put struck at 100 changed."""
    event, *others = given.chains
    columns = {}
    for name, value in values.items():
        columns[name] = getattr(event.puts, name).copy()
        columns[name][event.nearest_index(100.0)] = value
    return replace(given, chains=(replace(event, puts=replace(event.puts, **columns)), *others))


def test_a_rich_liquid_confirmed_report_in_an_open_market_is_tradeable():
    analysis = evaluated()
    assert analysis.tradeable
    assert objections(analysis) == []
    assert analysis.flags == ()
    assert analysis.recommendation is Recommendation.GOOD


def test_the_ratio_is_the_event_move_over_the_mean_past_move():
    analysis = evaluated()
    # Past moves of 2, 2.5 and 3 per cent in turn: a mean of 2.5; 4.95 / 2.5 = 1.98.
    assert analysis.implied_move.event_move_pct == pytest.approx(EVENT_MOVE_PCT, rel=0.01)
    assert isinstance(analysis.vrp, Ok)
    assert analysis.vrp.value.ratio == pytest.approx(EVENT_MOVE_PCT / 2.5, rel=0.01)
    assert re.fullmatch(r"for: the event move is (1\.9\d|2\.00) times the mean of 12 past moves", analysis.reasons[0])


def test_every_block_is_there():
    analysis = evaluated(missing=(MissingMove(date(2023, 2, 22), Timing.AMC, "no bars for 2023-02-23"),))
    blocks = (analysis.history, analysis.vrp, analysis.consistency, analysis.skew, analysis.term_structure)
    assert all(isinstance(block, Ok) for block in (*blocks, analysis.execution))
    assert isinstance(analysis.history, Ok)
    assert [each.reason for each in analysis.history.value.missing] == ["no bars for 2023-02-23"]


def test_the_verdict_warns_of_the_tail_even_when_tradeable():
    assert "note: the largest past move was 1.2 times the mean; a short straddle has no floor" in evaluated().reasons


def test_too_small_a_ratio_alone_is_not_tradeable():
    # Twelve moves alike leave little to chance: 4.95 / 2.6 = 1.90 with its interval above one, but twice is asked for.
    given = snapshot(past_moves_pct=(2.6, -2.6) * 6)
    strict = replace(given, settings=replace(given.settings, vrp_excellent=3.0, vrp_good=2.5, vrp_marginal=2.0))
    analysis = evaluated(strict)
    (objection,) = objections(analysis)
    assert re.fullmatch(r"against: the event move is 1\.9\d times the mean of 12 past moves, 2 needed", objection)
    assert analysis.recommendation is Recommendation.SKIP
    assert not analysis.tradeable


def test_a_ratio_that_chance_explains_is_not_tradeable():
    # Four past moves of 2.5 % on average: the ratio is 1.99, but four moves say little.
    analysis = evaluated(past_moves_pct=(2.6, 2.4, -2.6, 2.4))
    (objection,) = objections(analysis)
    assert objection.startswith("against: after costs the shrunk ratio lies between 0.9")
    assert analysis.recommendation is Recommendation.GOOD
    assert not analysis.tradeable


def test_too_wide_a_spread_alone_is_not_tradeable():
    analysis = evaluated(spread=0.6)
    assert objections(analysis) == ["against: execution reject: straddle spread 21.6 %, open interest 5000"]
    assert not analysis.tradeable


@pytest.mark.parametrize(("interest", "tier"), [(60, ExecutionTier.WARNING), (10, ExecutionTier.REJECT)])
def test_too_little_open_interest_alone_is_not_tradeable(interest, tier):
    analysis = evaluated(open_interest=interest)
    (objection,) = objections(analysis)
    assert objection == f"against: execution {tier}: straddle spread 0.7 %, open interest {interest}"
    assert not analysis.tradeable


def test_a_closed_exchange_is_not_tradeable_and_says_when_the_quotes_were_made():
    analysis = evaluated(state=SessionState.CLOSED)
    # The quotes of that market are a minute older than the analysis, which is of 15:45.
    assert "against: the exchange is not open (closed): quotes are of 2026-05-15 15:44" in objections(analysis)
    assert not analysis.tradeable


def test_a_closed_exchange_names_no_moment_for_quotes_that_nobody_dated():
    analysis = evaluated(event_put_changed(snapshot(state=SessionState.CLOSED), quoted_at=0.0))
    assert "against: the exchange is not open (closed)" in objections(analysis)


def test_a_straddle_that_cannot_be_bought_back_is_an_error_in_its_place():
    analysis = evaluated(event_put_changed(snapshot(), ask=0.0, bid=0.0))
    assert isinstance(analysis.execution, Err)
    assert objections(analysis) == [f"against: {analysis.execution.error.message}"]
    assert isinstance(analysis.vrp, Ok)
    assert not analysis.tradeable


def test_too_little_history_leaves_the_implied_move_and_says_what_is_needed():
    analysis = evaluated(past_moves_pct=(2.0, -3.0, 2.5))
    lacking = "IBM: 3 past moves, 4 needed: no other report is known; backfill IBM --refresh asks again"
    for block in (analysis.history, analysis.vrp, analysis.consistency):
        assert isinstance(block, Err)
        assert (block.error.code, block.error.message) == (ErrorCode.NODATA, lacking)
    assert objections(analysis) == [f"against: {lacking}"]
    assert analysis.recommendation is Recommendation.SKIP
    assert not any("largest past move" in reason for reason in analysis.reasons)
    assert analysis.implied_move.event_move_pct == pytest.approx(EVENT_MOVE_PCT, rel=0.01)


@pytest.mark.parametrize("flag", sorted(DOUBTS))
def test_one_doubt_about_the_numbers_alone_is_not_tradeable(flag):
    analysis = evaluated(flags=(flag,))
    assert objections(analysis) == [f"against: {DOUBTS[flag]}"]
    assert flag in analysis.flags
    assert not analysis.tradeable


def test_a_flag_that_is_no_doubt_leaves_the_answer_tradeable():
    analysis = evaluated(flags=("session_from_history",))
    assert analysis.tradeable
    assert analysis.flags == ("session_from_history",)


def test_an_estimated_date_is_remarked_on():
    analysis = evaluated(status=DateStatus.ESTIMATED)
    assert "note: report date estimated" in analysis.reasons
    assert not [reason for reason in evaluated().reasons if "report date" in reason]


def test_a_session_that_was_inferred_is_no_estimated_date():
    reasons = evaluated(status=DateStatus.ESTIMATED, flags=("session_from_history",)).reasons
    assert "note: session of the report taken from the company's past ones" in reasons
    assert not [reason for reason in reasons if "report date" in reason]


def test_a_session_beside_which_the_calendar_names_another_is_no_doubt_about_the_date():
    reasons = evaluated(status=DateStatus.ESTIMATED, flags=("session_not_in_calendar",)).reasons
    assert "note: session as named, the calendar names another one beside the same date" in reasons
    assert not [reason for reason in reasons if "report date" in reason]


def test_a_date_that_the_calendar_contradicts_is_a_doubt():
    analysis = evaluated(flags=("date_not_in_calendar",))
    assert not analysis.tradeable
    assert "against: the calendar names another date near the one given" in analysis.reasons


def test_a_date_by_argument_alone_is_said_to_be_as_named():
    analysis = evaluated(status=DateStatus.UNKNOWN)
    assert analysis.tradeable
    assert "note: report date as named, not confirmed by the calendar" in analysis.reasons


def test_an_unknown_session_is_computed_both_ways_and_the_wider_one_reported():
    unknown, before, after = (evaluated(timing=each) for each in (Timing.UNKNOWN, Timing.BMO, Timing.AMC))
    both = [each.implied_move.event_move_pct for each in (before, after)]
    assert unknown.implied_move.event_move_pct == max(both)
    assert "session_unknown" in unknown.flags
    assert "against: the session of the report is unknown" in unknown.reasons
    wider = Timing.BMO if both[0] > both[1] else Timing.AMC
    assert f"note: session unknown: computed for {wider}, the wider of those still possible" in unknown.reasons
    assert not [reason for reason in (*before.reasons, *after.reasons) if "session unknown" in reason]
    assert not unknown.tradeable


def test_a_flag_of_two_sources_is_named_once():
    assert evaluated(timing=Timing.UNKNOWN, flags=("session_unknown",)).flags.count("session_unknown") == 1


def test_cheap_options_are_flagged_for_the_other_side():
    # Past moves of 9 % against an implied 4.95 %.
    analysis = evaluated(past_moves_pct=(9.0, -9.0) * 6)
    assert "long_volatility" in analysis.flags
    assert any("options look cheap against this company's past" in reason for reason in analysis.reasons)
    assert not analysis.tradeable


def test_without_an_implied_move_there_is_no_analysis():
    given = snapshot()
    result = evaluate(replace(given, as_of=given.as_of.replace(day=21)))
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.INVALID
    assert "the stock already trades on the report of 2026-05-20" in result.error.message


def test_the_expiration_is_the_first_that_trades_in_the_reaction_session():
    assert evaluated().implied_move.expiration == EXPIRATIONS[0]


@pytest.mark.parametrize(
    "given",
    [snapshot(), snapshot(timing=Timing.UNKNOWN, past_moves_pct=(2.0,), spread=0.6, state=SessionState.CLOSED)],
    ids=["tradeable", "doubtful"],
)
def test_a_kept_snapshot_gives_the_same_document_to_the_bit(given):
    kept = decode_snapshot(encode_snapshot(given))
    assert isinstance(kept, Ok)
    first, again = evaluated(given), evaluated(kept.value)
    assert msgspec.json.encode(analysis_document(again)) == msgspec.json.encode(analysis_document(first))
    exact = [np.float64(each.implied_move.event_move_pct).tobytes() for each in (first, again)]
    assert exact[0] == exact[1]
