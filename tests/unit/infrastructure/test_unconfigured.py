"""Alpha Vantage without a key."""

from ivcrush.domain.errors import ErrorCode, err
from ivcrush.domain.protocols import EarningsData
from ivcrush.domain.types import Ticker
from ivcrush.infrastructure.api.unconfigured import UnconfiguredEarningsData

MISSING = err(ErrorCode.CONFIG, "ALPHA_VANTAGE_KEY is not set")


async def test_every_question_is_answered_by_the_missing_key():
    earnings: EarningsData = UnconfiguredEarningsData(MISSING)
    ibm = Ticker("IBM")
    answers = [
        await earnings.past_reports(ibm),
        await earnings.scheduled_reports(ibm),
        await earnings.scheduled_reports(None),
        await earnings.dividends(ibm),
        await earnings.splits(ibm),
        await earnings.raw_daily_bars(ibm),
    ]
    assert answers == [MISSING] * 6
