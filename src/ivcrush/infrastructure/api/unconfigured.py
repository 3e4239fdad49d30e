"""`EarningsData` without a key: every question is answered by the line that says which key is missing."""

from ivcrush.domain.errors import Err
from ivcrush.domain.types import Ticker


class UnconfiguredEarningsData:
    """Stands where Alpha Vantage would; a run that finds what it needs in the database never notices."""

    def __init__(self, missing: Err) -> None:
        self._missing = missing

    async def past_reports(self, ticker: Ticker) -> Err:  # noqa: ARG002
        """The missing key."""
        return self._missing

    async def scheduled_reports(self, ticker: Ticker | None) -> Err:  # noqa: ARG002
        """The missing key."""
        return self._missing

    async def dividends(self, ticker: Ticker) -> Err:  # noqa: ARG002
        """The missing key."""
        return self._missing

    async def splits(self, ticker: Ticker) -> Err:  # noqa: ARG002
        """The missing key."""
        return self._missing

    async def raw_daily_bars(self, ticker: Ticker) -> Err:  # noqa: ARG002
        """The missing key."""
        return self._missing
