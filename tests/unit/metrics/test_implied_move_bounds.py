"""What an implied move refuses and what it leaves out, to the day and the dollar; the words of each refusal."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from ivcrush.application.metrics.implied_move import ImpliedMoveReading, implied_move
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import MarketSnapshot, OptionChain
from tests.unit.metrics.option_market import (
    AS_OF,
    BEFORE,
    FRIDAY,
    NEXT,
    THIRD,
    chain,
    event_chains,
    smile_of,
    snapshot,
)

SMILE = smile_of(0.07)


def read(market: MarketSnapshot) -> ImpliedMoveReading:
    found = implied_move(market)
    assert isinstance(found, Ok), found
    return found.value


def refusal(market: MarketSnapshot) -> tuple[ErrorCode, str] | None:
    found = implied_move(market)
    return (found.error.code, found.error.message) if isinstance(found, Err) else None


def struck(*strikes: float) -> tuple[OptionChain, ...]:
    """The event's expiration with these strikes alone; the later ones' strikes must not matter."""
    return (chain(FRIDAY, SMILE, strikes=strikes), *event_chains()[1:])


@pytest.mark.parametrize(
    ("strikes", "reason"),
    [
        ((76.0, 77.0), None),  # 77·1.3 = 100.1
        ((75.0, 76.0), "run from 75 to 76"),  # 76·1.3 = 98.8
        ((130.0, 131.0), None),
        ((130.5, 131.0), "run from 130.5 to 131"),
        ((70.0, 131.0), None),
    ],
)
def test_a_stock_three_tenths_beyond_the_outermost_strike_is_not_these_options_stock(
    strikes: tuple[float, ...], reason: str | None
) -> None:
    refused = refusal(snapshot(struck(*strikes), bid_ask=(99.5, 100.5)))
    if reason is None:
        assert refused is None or "strikes of" not in refused[1]
    else:
        assert refused == (ErrorCode.INVALID, f"XYZ: the stock is at 100, the strikes of 2026-05-15 {reason}")


@pytest.mark.parametrize(("spot", "wrong"), [(260.0, False), (260.5, True)])
def test_three_tenths_above_the_highest_strike_is_still_that_stock(spot: float, wrong: bool) -> None:
    refused = refusal(snapshot(struck(180.0, 200.0), bid_ask=(spot - 0.5, spot + 0.5)))
    assert (refused is not None and "the strikes of" in refused[1]) is wrong


@pytest.mark.parametrize(("amounts", "wrong"), [((20.0, 29.0), False), ((20.0, 30.0), True), ((50.0, 1.0), True)])
def test_a_stock_that_pays_half_of_itself_within_months_is_none(amounts: Sequence[float], wrong: bool) -> None:
    paid = [(date(2026, 8, day), amount) for day, amount in enumerate(amounts, start=3)]
    refused = refusal(snapshot(event_chains(), dividends=paid, bid_ask=(99.5, 100.5)))
    told = f"XYZ: dividends of {sum(amounts):g} to come on a stock of 100; one of the two is wrong"
    assert refused == ((ErrorCode.INVALID, told) if wrong else None)


def test_each_refusal_says_what_there_was_and_what_is_needed() -> None:
    assert refusal(snapshot(event_chains(), report=date(2026, 7, 1))) == (
        ErrorCode.NODATA,
        "XYZ: no expiration trades on 2026-07-02, the session after the report; the last one listed is 2026-06-18",
    )
    chains = event_chains(days=((BEFORE, 1, 0), (FRIDAY, 1, 1)))
    early = "XYZ: expiration 2026-05-14 ends before 2026-05-15, the session that reacts to the report"
    assert refusal(snapshot(chains, expiration=BEFORE)) == (ErrorCode.INVALID, f"{early}; a later one is needed")
    assert read(snapshot(event_chains(), expiration=FRIDAY)).move.expiration == FRIDAY
    over = refusal(snapshot(event_chains(), timing=Timing.BMO))
    told = "at 2026-05-14T15:59:00-04:00; a report still to come is needed"
    assert over == (ErrorCode.INVALID, f"XYZ: the stock already trades on the report of 2026-05-14 (BMO) {told}")


def test_without_a_named_expiration_nothing_usable_before_the_second_report_is_no_data() -> None:
    chains = (chain(BEFORE, SMILE), chain(date(2026, 8, 21), smile_of(0.2)))
    refused = refusal(snapshot(chains, next_report=date(2026, 8, 13)))
    assert refused is not None
    assert refused[0] is ErrorCode.NODATA
    assert refused[1].startswith("XYZ: the expiration 2026-08-21 holds or may hold a second report; ")


def test_expirations_count_for_a_hundred_and_ten_days_and_a_named_one_for_longer() -> None:
    last, over = AS_OF.date() + timedelta(110), AS_OF.date() + timedelta(111)
    chains = (*event_chains()[:2], chain(last, smile_of(0.18)), chain(over, smile_of(0.18)))
    following = date(2026, 10, 8)
    usual = read(snapshot(chains, next_report=following))
    assert [each.expiration for each in usual.surfaces] == [FRIDAY, NEXT, last]
    assert "second_event_excluded" not in usual.move.flags
    named = read(snapshot(chains, next_report=following, expiration=over))
    assert [each.expiration for each in named.surfaces] == [FRIDAY, NEXT, last, over]


def test_an_expiration_that_may_hold_the_next_report_is_left_out_and_said_to_be() -> None:
    doubtful = date(2026, 8, 14)  # 92 days after the report: the next one follows 85 to 100 days later
    reading = read(snapshot((*event_chains(), chain(doubtful, smile_of(0.2)))))
    assert [each.expiration for each in reading.surfaces] == [each.expiration for each in event_chains()]
    assert reading.move.flags == ("second_event_excluded",)
    named = read(snapshot((*event_chains(), chain(doubtful, smile_of(0.2))), expiration=doubtful))
    assert named.event.reports_before == 2  # counted as if it did
    assert named.move.event_move_pct == reading.move.event_move_pct


def test_an_expiration_is_over_at_its_close() -> None:
    close = datetime(2026, 5, 14, 16, 0, tzinfo=NEW_YORK)
    chains = event_chains(days=((BEFORE, 1, 0), (FRIDAY, 1, 1), (NEXT, 6, 1)))
    assert [each.expiration for each in read(snapshot(chains, as_of=close)).surfaces] == [FRIDAY, NEXT]


def test_a_session_that_is_not_known_is_said_first_and_every_oddity_once() -> None:
    doubtful = chain(date(2026, 8, 14), smile_of(0.2))
    flags = read(snapshot((*event_chains(), doubtful), timing=Timing.UNKNOWN)).move.flags
    assert flags == ("session_unknown", "second_event_excluded")


def test_dollars_and_strikes_are_the_event_s_own_and_per_cent_are_of_the_stock() -> None:
    strikes = np.array((85.0, 88.0, 91.0, 94.0, 96.0, 99.25, 101.5, 104.0, 107.0, 110.0, 113.0))
    chains = (chain(FRIDAY, smile_of(0.06), strikes=strikes.tolist()), *event_chains()[1:])
    move = read(snapshot(chains, spot=101.0)).move
    assert (move.spot, move.atm_strike) == (pytest.approx(101.0), 99.25)
    assert move.straddle_cost == pytest.approx(100 * 0.04787, rel=2e-3)  # 4Φ(0.03) − 2
    assert move.straddle_pct == pytest.approx(100 * move.straddle_cost / move.spot)


def test_one_report_is_behind_the_named_expiration_s_straddle_and_its_share_is_of_that() -> None:
    # 0.0036 of the jump, and 0.0004 for each of ten sessions.
    assert read(snapshot(event_chains(), expiration=THIRD)).move.event_share == pytest.approx(0.0036 / 0.0076, rel=0.05)


def test_the_jump_s_shape_is_seen_on_the_named_expiration_and_behind_a_second_report_on_the_first() -> None:
    far = date(2026, 8, 21)
    chains = (*event_chains(), chain(far, smile_of(0.2)))
    for named, seen in ((None, FRIDAY), (NEXT, NEXT), (far, FRIDAY)):
        reading = read(snapshot(chains, next_report=date(2026, 8, 13), expiration=named))
        (source,) = (each for each in reading.surfaces if each.expiration == seen)
        assert reading.shape.reference == source.atm_variance


def test_the_report_has_at_most_all_of_the_straddle_s_variance() -> None:
    # Two weeks on the options hold half as much: what is left for ordinary days is less than nothing.
    chains = (chain(NEXT, smile_of(0.08)), chain(THIRD, smile_of(0.08 * 0.5**0.5)))
    assert read(snapshot(chains)).move.event_share == 1.0
