"""Alpha Vantage as `EarningsData`: what to ask, with the key where it must be, and which parser reads it.

Each question comes in two halves, so that a cache can stand between them: `fetch_*` returns the raw body of a reply
that was judged to be data, `parse_*` (in `alpha_vantage_parse`) turns bytes into values. The key travels as a query
parameter, the only place Alpha Vantage takes it, and never comes back in a value or a message.
"""

from collections.abc import Callable, Sequence
from datetime import date

from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.types import DailyBar, Dividend, PastReport, ScheduledReport, Split, Ticker
from ivcrush.infrastructure.api.alpha_vantage_dialect import AlphaVantageDialect
from ivcrush.infrastructure.api.alpha_vantage_parse import (
    parse_dividends,
    parse_past_reports,
    parse_raw_daily_bars,
    parse_scheduled_reports,
    parse_splits,
)
from ivcrush.infrastructure.api.transport import DailyAllowance, Resilience, Transport
from ivcrush.infrastructure.api.wire import Bounds, Endpoint, Request
from ivcrush.utils.rate_limiter import Window


def alpha_vantage_transport(
    base_url: str,
    *,
    windows: Sequence[Window],
    bounds: Bounds,
    resilience: Resilience,
    redact: Callable[[str], str],
    allowance: DailyAllowance | None = None,
) -> Transport:
    """The way to Alpha Vantage; nothing is opened before the first request."""
    return resilience.transport(
        Endpoint(base_url),
        AlphaVantageDialect(),
        windows=windows,
        bounds=bounds,
        redact=redact,
        allowance=allowance,
    )


class AlphaVantageClient:
    """Asks Alpha Vantage; share classes are spelled with a dash there (`BRK-B`).

    `today` is the New York date of now: reports after it are expected, not made.
    """

    def __init__(
        self,
        transport: Transport,
        api_key: str,
        *,
        today: Callable[[], date],
        calendar: MarketCalendar | None = None,
    ) -> None:
        self._transport = transport
        self._api_key = api_key
        self._today = today
        self._calendar = MarketCalendar() if calendar is None else calendar

    async def fetch_past_reports(self, ticker: Ticker) -> Result[bytes]:
        """EARNINGS of one company, all quarters."""
        return await self._ask("EARNINGS", symbol=_spelled(ticker))

    async def fetch_scheduled_reports(self, ticker: Ticker | None) -> Result[bytes]:
        """EARNINGS_CALENDAR as CSV: a year of one company, or three months of all."""
        if ticker is None:
            return await self._ask("EARNINGS_CALENDAR", horizon="3month")
        return await self._ask("EARNINGS_CALENDAR", symbol=_spelled(ticker), horizon="12month")

    async def fetch_dividends(self, ticker: Ticker) -> Result[bytes]:
        """DIVIDENDS, announced ones included."""
        return await self._ask("DIVIDENDS", symbol=_spelled(ticker))

    async def fetch_splits(self, ticker: Ticker) -> Result[bytes]:
        """SPLITS, spin-offs with a factor included."""
        return await self._ask("SPLITS", symbol=_spelled(ticker))

    async def fetch_raw_daily_bars(self, ticker: Ticker) -> Result[bytes]:
        """TIME_SERIES_DAILY of the last hundred sessions; more needs another plan."""
        return await self._ask("TIME_SERIES_DAILY", symbol=_spelled(ticker), outputsize="compact")

    async def past_reports(self, ticker: Ticker) -> Result[tuple[PastReport, ...]]:
        """Reports made, newest first, deduplicated and flagged; NODATA where the company has none."""
        body = await self.fetch_past_reports(ticker)
        if isinstance(body, Err):
            return body
        return parse_past_reports(body.value, ticker, today=self._today(), calendar=self._calendar)

    async def scheduled_reports(self, ticker: Ticker | None) -> Result[tuple[ScheduledReport, ...]]:
        """Expected reports by date, of one company or (None) of all; empty where nothing is scheduled."""
        body = await self.fetch_scheduled_reports(ticker)
        return body if isinstance(body, Err) else parse_scheduled_reports(body.value, calendar=self._calendar)

    async def dividends(self, ticker: Ticker) -> Result[tuple[Dividend, ...]]:
        """Cash dividends, announced ones included, rising by ex-date; empty where none."""
        body = await self.fetch_dividends(ticker)
        return body if isinstance(body, Err) else parse_dividends(body.value, ticker)

    async def splits(self, ticker: Ticker) -> Result[tuple[Split, ...]]:
        """Splits, rising by date; empty where none."""
        body = await self.fetch_splits(ticker)
        return body if isinstance(body, Err) else parse_splits(body.value, ticker)

    async def raw_daily_bars(self, ticker: Ticker) -> Result[tuple[DailyBar, ...]]:
        """The last hundred or so bars as traded, not adjusted for splits, rising by session."""
        body = await self.fetch_raw_daily_bars(ticker)
        return body if isinstance(body, Err) else parse_raw_daily_bars(body.value, ticker)

    async def _ask(self, function: str, **parameters: str) -> Result[bytes]:
        request = Request("", (("function", function), *parameters.items(), ("apikey", self._api_key)))
        reply = await self._transport.send(request)
        return reply if isinstance(reply, Err) else Ok(reply.value.body)


def _spelled(ticker: Ticker) -> str:
    return ticker.replace(".", "-")
