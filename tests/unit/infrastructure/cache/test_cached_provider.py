"""Real clients and parsers over a transport that counts: what is asked again, when, and under which key."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import Dividend, Quotes, Split, Ticker
from ivcrush.infrastructure.api.alpha_vantage import AlphaVantageClient
from ivcrush.infrastructure.api.tradier import TradierClient
from ivcrush.infrastructure.api.transport import Reply, Transport
from ivcrush.infrastructure.api.wire import Request
from ivcrush.infrastructure.cache.cached_provider import CachedEarningsData, CachedMarketData, CachePolicy
from ivcrush.infrastructure.cache.hybrid_cache import HybridCache
from ivcrush.infrastructure.cache.memory_cache import MemoryCache
from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache
from tests.unit.infrastructure.cache.conftest import WallClock

IBM, BRK_B = Ticker("IBM"), Ticker("BRK.B")
KEY = "CANARY-KEY-4711"
BODIES: dict[str, object] = {
    "/markets/quotes": {
        "quotes": {
            "quote": [{"symbol": "IBM", "bid": 231.3, "ask": 231.5}, {"symbol": "BRK/B", "bid": 480, "ask": 481}]
        }
    },
    "/markets/options/expirations": {"expirations": {"date": ["2026-05-22", "2026-05-29"]}},
    "/markets/options/chains": {
        "options": {
            "option": {
                "symbol": "IBM260522C00230000",
                "root_symbol": "IBM",
                "option_type": "call",
                "strike": 230.0,
                "bid": 6.1,
                "ask": 6.3,
                "contract_size": 100,
                "expiration_date": "2026-05-22",
            }
        }
    },
    "/markets/history": {
        "history": {"day": {"date": "2026-05-14", "open": 230, "high": 232, "low": 229, "close": 231, "volume": 5}}
    },
    "/markets/clock": {"clock": {"state": "open", "timestamp": 1778874300}},
    "/markets/calendar": {"calendar": {"days": {"day": {"date": "2026-05-25", "status": "closed"}}}},
    "EARNINGS": {
        "quarterlyEarnings": [
            {
                "fiscalDateEnding": "2026-03-31",
                "reportedDate": "2026-04-22",
                "reportedEPS": "1.91",
                "reportTime": "post-market",
            }
        ]
    },
    "DIVIDENDS": {"data": [{"ex_dividend_date": "2026-05-08", "amount": "1.68"}]},
    "SPLITS": {"data": [{"effective_date": "2021-11-04", "split_factor": "1.0460"}]},
    "TIME_SERIES_DAILY": {
        "Time Series (Daily)": {
            "2026-05-14": {"1. open": "230", "2. high": "232", "3. low": "229", "4. close": "231", "5. volume": "5"}
        }
    },
    "EARNINGS_CALENDAR": "symbol,name,reportDate,fiscalDateEnding,estimate,currency,timeOfTheDay\r\n"
    "IBM,IBM,2026-07-22,2026-06-30,3.1,USD,post-market\r\n",
}


class CountingTransport:
    """Answers each path or function from `BODIES`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refusal: Err | None = None
        self.bodies = dict(BODIES)

    async def send(self, request: Request) -> Result[Reply]:
        what = request.path or dict(request.parameters)["function"]
        self.asked.append(what)
        if self.refusal is not None:
            return self.refusal
        body = self.bodies[what]
        return Ok(Reply(200, (body if isinstance(body, str) else json.dumps(body)).encode(), None))


@pytest.fixture
def transport() -> CountingTransport:
    return CountingTransport()


@pytest.fixture
def policy(clock: WallClock) -> CachePolicy:
    return CachePolicy("https://api.tradier.com/v1", now=lambda: datetime.fromtimestamp(clock.now_s, UTC))


@pytest.fixture
def cache(opened: Callable[..., SqliteCache], clock: WallClock) -> HybridCache:
    return HybridCache(MemoryCache(timer=clock), opened())


@pytest.fixture
def market(transport: CountingTransport, cache: HybridCache, policy: CachePolicy) -> CachedMarketData:
    return CachedMarketData(TradierClient(cast(Transport, transport)), cache, policy)


@pytest.fixture
def earnings(transport: CountingTransport, cache: HybridCache, policy: CachePolicy) -> CachedEarningsData:
    client = AlphaVantageClient(cast(Transport, transport), KEY, today=policy.today)
    return CachedEarningsData(client, cache, policy, today=policy.today)


async def test_quotes_of_the_same_tickers_in_any_order_are_one_request_for_five_minutes(
    market: CachedMarketData, transport: CountingTransport, clock: WallClock
) -> None:
    first, again = await market.quotes([IBM, BRK_B]), await market.quotes([BRK_B, IBM, IBM])
    assert isinstance(first, Ok)
    assert first == again
    assert sorted(first.value.by_ticker) == [BRK_B, IBM]
    with pytest.raises(TypeError):
        first.value.by_ticker[IBM] = first.value.by_ticker[BRK_B]  # type: ignore[index]
    clock.now_s += 299
    await market.quotes([IBM, BRK_B])
    assert transport.asked == ["/markets/quotes"]
    clock.now_s += 1
    await market.quotes([IBM, BRK_B])
    assert len(transport.asked) == 2


async def test_quotes_are_dated_by_when_their_reply_came_whether_memory_or_disk_kept_it(
    market: CachedMarketData, policy: CachePolicy, clock: WallClock
) -> None:
    came_at = policy.now()
    for later_s in (0, 20, 180, 100 - 1):  # loaded, from memory, from disk, from disk again at its end
        clock.now_s += later_s
        found = await market.quotes([IBM])
        assert isinstance(found, Ok)
        assert found.value.received_at == came_at
    clock.now_s += 1
    anew = await market.quotes([IBM])
    assert isinstance(anew, Ok)
    assert anew.value.received_at == policy.now() == came_at + timedelta(seconds=300)


async def test_no_tickers_are_no_request(
    market: CachedMarketData, policy: CachePolicy, transport: CountingTransport
) -> None:
    assert await market.quotes([]) == Ok(Quotes({}, policy.now()))
    assert transport.asked == []


async def test_a_chain_is_kept_as_long_as_quotes(
    market: CachedMarketData, transport: CountingTransport, clock: WallClock
) -> None:
    for _ in range(2):
        found = await market.option_chain(IBM, date(2026, 5, 22))
        assert isinstance(found, Ok)
        assert found.value.strikes.tolist() == [230.0]
    clock.now_s += 300
    await market.option_chain(IBM, date(2026, 5, 22))
    assert len(transport.asked) == 2


async def test_expirations_and_the_calendar_are_kept_until_midnight_in_new_york(
    market: CachedMarketData, transport: CountingTransport, clock: WallClock
) -> None:
    clock.now_s = datetime(2026, 5, 15, 23, 59, 59, tzinfo=NEW_YORK).timestamp() - 8 * 3600
    for _ in range(2):
        assert await market.expirations(IBM) == Ok((date(2026, 5, 22), date(2026, 5, 29)))
        assert isinstance(await market.session_days(2026, 5), Ok)
        clock.now_s += 8 * 3600
    assert len(transport.asked) == 2
    clock.now_s = datetime(2026, 5, 16, tzinfo=NEW_YORK).timestamp()
    await market.expirations(IBM)
    await market.session_days(2026, 5)
    assert len(transport.asked) == 4


async def test_bars_that_end_before_today_are_kept_for_the_day_and_those_with_today_for_an_hour(
    market: CachedMarketData, transport: CountingTransport, clock: WallClock
) -> None:
    for _ in range(2):
        assert isinstance(await market.daily_bars(IBM, date(2026, 5, 1), date(2026, 5, 14)), Ok)
        assert isinstance(await market.daily_bars(IBM, date(2026, 5, 1), date(2026, 5, 15)), Ok)
        clock.now_s += 3600
    assert len(transport.asked) == 3


async def test_the_clock_is_always_asked(market: CachedMarketData, transport: CountingTransport) -> None:
    assert isinstance(await market.clock(), Ok)
    assert isinstance(await market.clock(), Ok)
    assert transport.asked == ["/markets/clock"] * 2


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 5, 15), 24), (date(2026, 11, 1), 25)])
def test_the_day_of_a_clock_change_has_its_own_length(day: date, hours: int) -> None:
    policy = CachePolicy("x", now=lambda: datetime(day.year, day.month, day.day, tzinfo=NEW_YORK))
    assert policy.rest_of_day_s() == hours * 3600
    assert policy.today() == day


async def test_everything_of_alpha_vantage_is_asked_once_a_day(
    earnings: CachedEarningsData, transport: CountingTransport, clock: WallClock
) -> None:
    for _ in range(3):
        past = await earnings.past_reports(IBM)
        assert isinstance(past, Ok)
        assert [report.report_date for report in past.value] == [date(2026, 4, 22)]
        for ticker in (IBM, None):
            expected = await earnings.scheduled_reports(ticker)
            assert isinstance(expected, Ok)
            assert [report.report_date for report in expected.value] == [date(2026, 7, 22)]
        assert await earnings.dividends(IBM) == Ok((Dividend(date(2026, 5, 8), 1.68),))
        assert await earnings.splits(IBM) == Ok((Split(date(2021, 11, 4), 1.046),))
        bars = await earnings.raw_daily_bars(IBM)
        assert isinstance(bars, Ok)
        assert bars.value[0].close == 231.0
        clock.now_s += 3600
    assert sorted(transport.asked) == [
        "DIVIDENDS",
        "EARNINGS",
        "EARNINGS_CALENDAR",
        "EARNINGS_CALENDAR",
        "SPLITS",
        "TIME_SERIES_DAILY",
    ]


async def test_a_report_due_tomorrow_is_no_past_report_although_the_reply_is_kept(
    transport: CountingTransport, cache: HybridCache, policy: CachePolicy
) -> None:
    client = AlphaVantageClient(cast(Transport, transport), KEY, today=policy.today)
    yesterday = CachedEarningsData(client, cache, policy, today=lambda: date(2026, 4, 21))
    found = await yesterday.past_reports(IBM)
    assert isinstance(found, Err)
    assert found.error.code is ErrorCode.NODATA


async def test_that_a_company_has_no_reports_is_asked_once_a_day(
    earnings: CachedEarningsData, transport: CountingTransport, clock: WallClock
) -> None:
    transport.bodies |= {"EARNINGS": {}, "TIME_SERIES_DAILY": {}}
    for hours in (0, 2, 6.2):
        clock.now_s = 1_778_874_300.0 + hours * 3600  # midnight comes 8 h 15 min after the first
        for found in (await earnings.past_reports(IBM), await earnings.raw_daily_bars(IBM)):
            assert isinstance(found, Err)
            assert found.error.code is ErrorCode.NODATA
    assert transport.asked == ["EARNINGS", "TIME_SERIES_DAILY"]


async def test_that_tradier_has_none_is_asked_again_after_an_hour(
    market: CachedMarketData, transport: CountingTransport, clock: WallClock
) -> None:
    transport.bodies |= {"/markets/options/expirations": {"expirations": None}, "/markets/history": {"history": None}}
    for passed_s in (0, 3599, 1):
        clock.now_s += passed_s
        found = [await market.expirations(IBM), await market.daily_bars(IBM, date(2026, 5, 1), date(2026, 5, 14))]
        assert [one.error.code for one in found if isinstance(one, Err)] == [ErrorCode.NODATA] * 2
    assert transport.asked == ["/markets/options/expirations", "/markets/history"] * 2


async def test_a_refresh_asks_again(transport: CountingTransport, cache: HybridCache, clock: WallClock) -> None:
    policy = CachePolicy("x", now=lambda: datetime.fromtimestamp(clock.now_s, UTC), refresh=True)
    market = CachedMarketData(TradierClient(cast(Transport, transport)), cache, policy)
    await market.expirations(IBM)
    await market.expirations(IBM)
    assert len(transport.asked) == 2


async def test_two_providers_in_one_file_never_answer_for_each_other(
    transport: CountingTransport, cache: HybridCache, policy: CachePolicy
) -> None:
    client = TradierClient(cast(Transport, transport))
    await CachedMarketData(client, cache, policy).expirations(IBM)
    simulated = CachePolicy("http://127.0.0.1:8000/v1", now=policy.now)
    await CachedMarketData(client, cache, simulated).expirations(IBM)
    assert len(transport.asked) == 2


async def test_a_refusal_is_handed_on_and_asked_again_next_time(
    market: CachedMarketData, transport: CountingTransport
) -> None:
    transport.refusal = err(ErrorCode.RATELIMIT, "Tradier: too fast")
    assert await market.expirations(IBM) == transport.refusal
    transport.refusal = None
    assert isinstance(await market.expirations(IBM), Ok)


async def test_no_key_reaches_the_cache_file(
    earnings: CachedEarningsData, cache: HybridCache, cache_path: Path
) -> None:
    await earnings.past_reports(IBM)
    await earnings.scheduled_reports(None)
    kept = b"".join(path.read_bytes() for path in sorted(cache_path.parent.glob("cache.db*")))
    assert b"EARNINGS_CALENDAR" in kept
    assert KEY.encode() not in kept


def test_the_rest_of_the_day_is_counted_from_the_real_clock(policy: CachePolicy) -> None:
    assert timedelta(seconds=policy.rest_of_day_s()) == timedelta(hours=8, minutes=15)
