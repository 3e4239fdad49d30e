"""When dividends and the report come, in years worked by hand."""

from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pytest

from ivcrush.application.metrics.carry import exercise_context
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import Dividend
from tests.unit.metrics.option_market import event_chains, snapshot


def test_the_hour_that_a_change_of_clocks_takes_brings_a_dividend_and_the_report_nearer() -> None:
    # From Friday 6 March 2026 15:45 to the midnight that begins Tuesday are 80.25 hours less one.
    friday, tuesday = datetime(2026, 3, 6, 15, 45, tzinfo=NEW_YORK), date(2026, 3, 10)
    market = replace(snapshot(event_chains(), as_of=friday), dividends=(Dividend(tuesday, 0.5),))
    context = exercise_context(market, [date(2026, 3, 13)], np.array([0.01]), [1], tuesday)
    hour = 1 / (365 * 24)
    assert context.dividends == (((pytest.approx(79.25 * hour), 0.5),),)
    assert context.lump_years == pytest.approx(79.25 * hour)
