"""A backfill of several companies: what it costs beforehand, and when it ends before it is through."""

import pytest

from ivcrush.application.services.backfill_plan import BackfillPlan
from ivcrush.application.services.backfill_planner import BackfillQuestion
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.types import Ticker
from simulated_market import FaultRule, Switches
from tests.unit.services.conftest import FRIDAY_AFTERNOON, Desk

NO_PRICES = Switches(faults=(FaultRule("503", path="/markets/history"),))


def question(*tickers: str, quarters: int = 12) -> BackfillQuestion:
    return BackfillQuestion(tuple(map(Ticker, tickers)), FRIDAY_AFTERNOON, quarters)


def planned(run, asked: BackfillQuestion) -> BackfillPlan:
    plan = run.backfill_planner.plan(asked)
    assert isinstance(plan, Ok), plan
    return plan.value


def test_a_company_of_which_nothing_is_stored_costs_a_call_to_each_provider_and_asks_neither(desk: Desk) -> None:
    plan = desk.run(ALPHA_VANTAGE_PER_DAY="25").backfill_planner.plan(question("IBM", "KO"), calendar_calls=1)
    assert isinstance(plan, Ok)
    assert (plan.value.scarce_calls, plan.value.plentiful_calls, plan.value.allowance.left_today) == (3, 2, 25)
    assert desk.asked("/") == 0


async def test_a_refused_key_ends_the_run_and_nobody_after_it_is_asked_about(desk: Desk) -> None:
    desk.market.set_switches(Switches(faults=(FaultRule("401", path="/markets/history"),)))
    run, asked = desk.run(), question("IBM", "KO", "MSFT")
    results = await run.backfill_run.complete(planned(run, asked), asked, timeout_s=30)
    codes = [result.error.code if isinstance(result, Err) else None for result in results.values()]
    assert codes == [ErrorCode.AUTH, ErrorCode.SKIPPED, ErrorCode.SKIPPED]
    assert desk.asked("function=EARNINGS&") == 1


@pytest.mark.parametrize(("calls_a_day", "raw"), [("3", 0), ("4", 1)])
async def test_raw_bars_stand_in_out_of_two_calls_that_nobody_else_needs(
    desk: Desk, calls_a_day: str, raw: int
) -> None:
    # Two companies need a call each: of three one is left over, of four the two that raw bars and splits take.
    desk.market.set_switches(NO_PRICES)
    run, asked = desk.run(ALPHA_VANTAGE_PER_DAY=calls_a_day), question("IBM", "KO", quarters=1)
    await run.backfill_run.complete(planned(run, asked), asked, timeout_s=30)
    assert desk.asked("TIME_SERIES_DAILY") == raw
