"""Splits and moved reports: one history, told in other shares and with other dates from their day on."""

from datetime import date, datetime, timedelta

import pytest

from simulated_market import ComingSplit, Events, MovedReport, World
from simulated_market.alpha_vantage import AlphaVantage
from simulated_market.messages import Request
from simulated_market.switches import Switches
from tests.unit.simulated_market.conftest import FRIDAY_AFTERNOON, NEW_YORK

MONDAY, TUESDAY = date(2026, 5, 18), date(2026, 5, 19)


def at(moment: datetime, *, splits: tuple[ComingSplit, ...] = (), moves: tuple[MovedReport, ...] = ()) -> World:
    start = World(7, FRIDAY_AFTERNOON, size=20, events=Events(splits, moves))
    return start.at(moment)


def on(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 15, 45, tzinfo=NEW_YORK)


def test_a_split_halves_all_bars_from_its_day_on_and_none_before() -> None:
    split = (ComingSplit("META", TUESDAY, 2.0),)
    before, plain = at(on(MONDAY), splits=split), at(on(MONDAY))
    assert before.bars("META").close.tolist() == plain.bars("META").close.tolist()
    assert before.splits("META") == ()
    after, undivided = at(on(TUESDAY), splits=split), at(on(TUESDAY))
    assert after.bars("META").close == pytest.approx(undivided.bars("META").close / 2.0, abs=0.02)
    assert after.splits("META") == ((TUESDAY, 2.0),)
    assert after.spot("META") == pytest.approx(undivided.spot("META") / 2.0, abs=0.02)


def test_alpha_vantage_tells_the_prices_as_traded_and_names_the_split() -> None:
    world = at(on(TUESDAY), splits=(ComingSplit("META", TUESDAY, 2.0),))
    service = AlphaVantage(world, Switches())

    def asked(function: str) -> str:
        return service.answer(Request("GET", "/query", {"function": function, "symbol": "META"})).body.decode()

    monday, tuesday = (world.bars("META").close[world.bars("META").index(day)] for day in (MONDAY, TUESDAY))
    assert f'"4. close": "{2.0 * monday:.4f}"' in asked("TIME_SERIES_DAILY")
    assert f'"4. close": "{tuesday:.4f}"' in asked("TIME_SERIES_DAILY")
    assert '"effective_date": "2026-05-19"' in asked("SPLITS")
    assert '"split_factor": "2.0000"' in asked("SPLITS")


def test_a_report_stands_on_its_old_day_until_it_is_told_to_move_and_the_price_answers_on_the_new_one() -> None:
    old = World(7, FRIDAY_AFTERNOON, size=20).truth("META")
    assert (old.earnings_date, old.timing) == (TUESDAY, "AMC")
    new = date(2026, 5, 21)
    moves = (MovedReport("META", MONDAY, TUESDAY, new),)
    assert at(FRIDAY_AFTERNOON, moves=moves).truth("META").earnings_date == TUESDAY
    told = at(on(MONDAY), moves=moves).truth("META")
    assert (told.earnings_date, told.reaction_session) == (new, date(2026, 5, 22))
    later, unmoved = at(on(date(2026, 5, 22)), moves=moves), at(on(date(2026, 5, 22)))
    assert later.past_reports("META")[-1].day == new
    assert unmoved.past_reports("META")[-1].day == TUESDAY
    # Wednesday is an ordinary day where the report moved: the jump is in Friday's bar instead.
    assert later.bars("META").open[-3] != unmoved.bars("META").open[-3]
    assert later.bars("META").close[:-3].tolist() == unmoved.bars("META").close[:-3].tolist()


def test_a_report_cannot_be_moved_after_it_was_made() -> None:
    with pytest.raises(ValueError, match="told before both"):
        MovedReport("META", TUESDAY, TUESDAY, TUESDAY + timedelta(1))
