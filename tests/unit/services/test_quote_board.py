"""Quotes of everybody at once: asked for again when they are old, and alone where all at once fails."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from ivcrush.application.services.quote_board import QUOTES_AT_ONCE, QuoteBoard
from ivcrush.application.services.together import together
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import Quotes, Ticker, UnderlyingQuote

NOON = datetime(2026, 5, 15, 16, 0, tzinfo=UTC)
AAPL, KO, NOSUCH = Ticker("AAPL"), Ticker("KO"), Ticker("NOSUCH")


class Market:
    """Answers quotes, or fails those requests that it is told to; remembers what it was asked."""

    def __init__(self, *refusals: ErrorCode | None) -> None:
        self.asked: list[tuple[Ticker, ...]] = []
        self.now: Callable[[], datetime] = lambda: NOON
        self.age = timedelta(0)  # how long ago a reply came that is handed out now
        self._refusals = list(refusals)

    async def quotes(self, tickers: Sequence[Ticker]) -> Result[Quotes]:
        self.asked.append(tuple(tickers))
        refusal = self._refusals.pop(0) if self._refusals else None
        if refusal is not None:
            return err(refusal, "the market is away")
        return Ok(Quotes({ticker: quote(ticker) for ticker in tickers if ticker != NOSUCH}, self.now() - self.age))


class Clock:
    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        return self.moment


def quote(ticker: Ticker) -> UnderlyingQuote:
    return UnderlyingQuote(ticker, 99.9, 100.1, 100.0, 99.0, None, None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def board(market: Market, tickers: Sequence[Ticker], clock: Clock) -> QuoteBoard:
    market.now = clock.now
    return QuoteBoard(market, tickers, life=timedelta(minutes=5), now=clock.now)  # type: ignore[arg-type]


async def test_everybody_is_asked_for_once_however_many_come_at_the_same_time(clock: Clock) -> None:
    market = Market()
    quotes = board(market, [AAPL, KO, AAPL], clock)
    assert await together(quotes.quote(ticker) for ticker in (AAPL, KO, AAPL)) == (
        Ok(quote(AAPL)),
        Ok(quote(KO)),
        Ok(quote(AAPL)),
    )
    assert market.asked == [(AAPL, KO)]


async def test_a_company_that_the_provider_does_not_know_has_none(clock: Clock) -> None:
    assert await board(Market(), [AAPL, NOSUCH], clock).quote(NOSUCH) == Ok(None)


@pytest.mark.parametrize("minutes", [6, -6], ids=["late", "clock set back"])
async def test_quotes_of_uncertain_age_are_asked_for_again(clock: Clock, minutes: int) -> None:
    market = Market()
    quotes = board(market, [AAPL, KO], clock)
    await quotes.quote(AAPL)
    clock.moment = NOON + timedelta(minutes=5)
    await quotes.quote(KO)
    assert len(market.asked) == 1
    clock.moment = NOON + timedelta(minutes=minutes)
    await quotes.quote(KO)
    assert len(market.asked) == 2


async def test_quotes_of_a_kept_reply_are_as_old_as_the_reply(clock: Clock) -> None:
    market = Market()
    market.age = timedelta(minutes=4)
    quotes = board(market, [AAPL, KO], clock)
    await quotes.quote(AAPL)
    clock.moment = NOON + timedelta(minutes=1)
    await quotes.quote(KO)
    assert len(market.asked) == 1
    clock.moment = NOON + timedelta(minutes=1, seconds=1)
    await quotes.quote(KO)
    assert len(market.asked) == 2


async def test_where_all_at_once_fails_each_is_asked_for_alone_and_nobody_asks_for_all_again(clock: Clock) -> None:
    market = Market(ErrorCode.EXTERNAL)
    quotes = board(market, [AAPL, KO], clock)
    assert await together(quotes.quote(ticker) for ticker in (AAPL, KO)) == (Ok(quote(AAPL)), Ok(quote(KO)))
    clock.moment = NOON + timedelta(hours=1)
    assert await quotes.quote(KO) == Ok(quote(KO))
    assert market.asked == [(AAPL, KO), (AAPL,), (KO,), (KO,)]


async def test_a_refused_token_is_not_tried_on_each_company(clock: Clock) -> None:
    market = Market(ErrorCode.AUTH)
    answer = await board(market, [AAPL, KO], clock).quote(AAPL)
    assert isinstance(answer, Err)
    assert answer.error.code is ErrorCode.AUTH
    assert len(market.asked) == 1


async def test_the_quote_of_a_single_company_is_not_asked_for_twice(clock: Clock) -> None:
    market = Market(ErrorCode.EXTERNAL)
    assert isinstance(await board(market, [AAPL], clock).quote(AAPL), Err)
    assert market.asked == [(AAPL,)]


async def test_a_long_list_is_asked_for_in_parts_each_when_it_is_reached(clock: Clock) -> None:
    market = Market()
    many = [Ticker(f"A{chr(65 + n // 26 % 26)}{chr(65 + n % 26)}{chr(65 + n // 676)}") for n in range(700)]
    quotes = board(market, many, clock)
    await quotes.quote(many[0])
    assert [len(asked) for asked in market.asked] == [QUOTES_AT_ONCE]
    await quotes.quote(many[-1])
    assert [len(asked) for asked in market.asked] == [QUOTES_AT_ONCE, 700 - QUOTES_AT_ONCE]
