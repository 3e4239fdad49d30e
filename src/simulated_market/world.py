"""The simulated world: every listed company, its past and its quotes, as a pure function of (seed, ticker, anchor,
as_of).

Nothing is drawn before it is asked for, and what was computed is kept only within bounds, so thousands of tickers cost
what is used. It answers in domain values; the dialects turn them into replies.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import prod, sqrt
from statistics import NormalDist
from typing import TypeVar

import numpy as np

from simulated_market.bars import Bars, build_bars
from simulated_market.chains import Chain, quote_chain
from simulated_market.companies import KNOWN_TICKERS, Company, company, invented_ticker
from simulated_market.events import NO_EVENTS, Events
from simulated_market.listing import Expiration, expirations, strikes
from simulated_market.pricing import Maturity
from simulated_market.schedule import Dividend, Report, dividends, reports
from simulated_market.session_calendar import (
    EASTERN,
    closing_moment,
    is_session,
    opening_moment,
    previous_session,
    sessions_between,
)
from simulated_market.truth import PastMove, Truth
from simulated_market.volatility import VolatilityTruth

_HISTORY = timedelta(days=1935)  # a little over twenty quarters
_YEAR_S = 365.0 * 86400.0
_BARS_KEPT = 600
_CHAINS_KEPT = 64
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Listing:
    """A company with its dates: what every answer about it starts from."""

    company: Company
    reports: tuple[Report, ...]
    dividends: tuple[Dividend, ...]


class World:
    """All companies of one seed, seen at one moment.

    `as_of` is the market's frozen now (with zone). `size` is the number of tickers, well-known names first. Report
    dates are laid out around `anchor` (default: the date of `as_of`); worlds of one anchor and different `as_of` share
    one history. `idle_day_weight` is the variance of a weekend day or holiday in units of a session's. `events` befall
    single companies after the anchor.
    """

    def __init__(
        self,
        seed: int,
        as_of: datetime,
        *,
        size: int = 100,
        anchor: date | None = None,
        idle_day_weight: float = 0.1,
        events: Events = NO_EVENTS,
    ) -> None:
        if as_of.tzinfo is None:
            raise ValueError(f"as_of {as_of} has no time zone")
        self.seed = seed
        self.as_of = as_of.astimezone(EASTERN)
        self.anchor = self.as_of.date() if anchor is None else anchor
        if self.as_of.date() < self.anchor:
            raise ValueError(
                f"as_of {self.as_of:%Y-%m-%d} is before the anchor {self.anchor}: the past is drawn from there"
            )
        self.idle_day_weight = idle_day_weight
        self.events = events
        self.quoted_at = last_trading_moment(self.as_of)
        invented = (invented_ticker(index) for index in range(max(size - len(KNOWN_TICKERS), 0)))
        self.tickers: tuple[str, ...] = (*KNOWN_TICKERS, *invented)[:size]
        self._listed = frozenset(self.tickers)
        self._listings: dict[str, Listing] = {}
        self._bars = _Kept(_BARS_KEPT)
        self._chains = _Kept(_CHAINS_KEPT)

    def at(self, as_of: datetime) -> "World":
        """The same world at another moment: one history, seen later."""
        return World(
            self.seed,
            as_of,
            size=len(self.tickers),
            anchor=self.anchor,
            idle_day_weight=self.idle_day_weight,
            events=self.events,
        )

    def __contains__(self, ticker: object) -> bool:
        return ticker in self._listed

    def listing(self, ticker: str) -> Listing:
        """The company called `ticker` with its dates, in today's shares; LookupError where it is not listed."""
        if ticker not in self._listed:
            raise LookupError(f"{ticker}: not listed in this world of {len(self.tickers)} tickers")
        if ticker not in self._listings:
            today, drawn = self.as_of.date(), company(self.seed, ticker)
            factor = prod(split.factor for split in self.events.splits_of(ticker, today))
            found = replace(drawn, spot=drawn.spot / factor)
            planned = reports(self.seed, found, self.anchor)
            schedule = self.events.schedule(ticker, planned, today)
            self._listings[ticker] = Listing(found, schedule, dividends(found, planned, self.anchor))
        return self._listings[ticker]

    def bars(self, ticker: str) -> Bars:
        """Split-adjusted daily bars of more than five years, the running session's unfinished."""
        return self._bars.get(ticker, lambda: self._build_bars(self.listing(ticker)))

    def splits(self, ticker: str) -> tuple[tuple[date, float], ...]:
        """The effective days of the company's splits and the new shares for one old, oldest first."""
        drawn = self.listing(ticker).company.split
        sessions = sessions_between(self.anchor - _HISTORY, self.anchor)
        before = () if drawn is None else ((sessions[-drawn[0]], drawn[1]),)
        since = self.events.splits_of(ticker, self.as_of.date())
        return (*before, *sorted((split.day, split.factor) for split in since))

    def spot(self, ticker: str) -> float:
        """The last traded price."""
        return float(self.bars(ticker).close[-1])

    def expirations(self, ticker: str) -> tuple[Expiration, ...]:
        """The expirations that still trade, nearest first."""
        listed = expirations(self.listing(ticker).company, self.as_of.date())
        return tuple(one for one in listed if self._trades(one.day))

    def chain(self, ticker: str, day: date) -> Chain | None:
        """All quotes that expire on `day`, None where nothing does."""
        found = next((one for one in self.expirations(ticker) if one.day == day), None)
        if found is None:
            return None
        return self._chains.get((ticker, day), lambda: self._build_chain(ticker, found))

    def upcoming(self, ticker: str) -> Report | None:
        """The next report that prices do not contain yet, None for a fund."""
        return next((report for report in self.listing(ticker).reports if not self._is_priced(report)), None)

    def past_reports(self, ticker: str) -> tuple[Report, ...]:
        """The reports already in the price, oldest first."""
        return tuple(report for report in self.listing(ticker).reports if self._is_priced(report))

    def reporters(self, start: date, end: date) -> tuple[str, ...]:
        """The tickers whose next report falls on a day from `start` to `end`, in the world's order."""
        coming = ((ticker, self.upcoming(ticker)) for ticker in self.tickers)
        return tuple(ticker for ticker, report in coming if report is not None and start <= report.day <= end)

    def truth(self, ticker: str) -> Truth:
        """The true answers about `ticker`; LookupError for one that is not listed or never reports."""
        report = self.upcoming(ticker)
        if report is None:
            raise LookupError(f"{ticker}: reports no earnings")
        found = self.listing(ticker).company
        volatility = self.volatility(ticker)
        maturities = [(one.day, self.maturity(ticker, one.day)) for one in self.expirations(ticker)]
        right = next((day for day, _ in maturities if day >= report.reaction_session), None)
        jump = volatility.jumps(report.reaction_session)
        day_variance = volatility.session_variance(report.reaction_session)
        return Truth(
            ticker=ticker,
            earnings_date=report.day,
            timing=report.timing.value,
            reaction_session=report.reaction_session,
            expiration=right,
            spot=self.spot(ticker),
            jump_kind=found.jump_kind.value,
            jump_sigma_pct=100.0 * sqrt(jump.log_variance),
            event_sigma_pct=100.0 * sqrt(jump.log_variance + day_variance),
            event_move_pct=100.0 * jump.mean_abs_move(day_variance),
            straddle_pct=None if right is None else 100.0 * _straddle_share(dict(maturities)[right]),
            ambient_vol_pct=100.0 * volatility.ambient_vol(self.as_of.date() + timedelta(days=30)),
            true_vrp=found.true_vrp,
            forwards=tuple((day, maturity.forward) for day, maturity in maturities),
            atm_variances=tuple((day, _atm_variance(maturity)) for day, maturity in maturities),
            past_moves=self._past_moves(ticker),
        )

    def volatility(self, ticker: str) -> VolatilityTruth:
        """The true variance of `ticker` as its options see it now."""
        listing = self.listing(ticker)
        return VolatilityTruth(listing.company, listing.reports, self.quoted_at, self.idle_day_weight)

    def maturity(self, ticker: str, day: date) -> Maturity:
        """The pricing inputs of the expiration `day`."""
        listing, volatility = self.listing(ticker), self.volatility(ticker)
        pending = volatility.pending(day)
        each = volatility.jumps(day).log_variance / max(len(pending), 1)
        return Maturity(
            spot=self.spot(ticker),
            years=self._years_to(closing_moment(day)),
            ambient_variance=max(volatility.ambient_variance(day), 1e-7),
            jumps=volatility.jumps(day),
            jumps_at=tuple((self._years_to(report.price_moment), each) for report in pending),
            dividends=tuple(
                (self._years_to(opening_moment(paid.ex_date)), paid.amount)
                for paid in listing.dividends
                if paid.ex_date <= day and opening_moment(paid.ex_date) > self.quoted_at
            ),
            smile_slope=listing.company.smile_slope,
            smile_curvature=listing.company.smile_curvature,
        )

    def _build_bars(self, listing: Listing) -> Bars:
        sessions = sessions_between(self.anchor - _HISTORY, self.as_of.date())
        whole = build_bars(
            self.seed,
            listing.company,
            sessions=sessions,
            schedule=listing.reports,
            paid=listing.dividends,
            anchor=self.anchor,
        )
        return whole.before(self.as_of)

    def _build_chain(self, ticker: str, expiration: Expiration) -> Chain:
        maturity = self.maturity(ticker, expiration.day)
        found = self.listing(ticker).company
        grid = strikes(maturity.forward, maturity.total_variance, found.liquidity)
        return quote_chain(self.seed, found, expiration, maturity, np.array(grid))

    def _past_moves(self, ticker: str) -> tuple[PastMove, ...]:
        bars = self.bars(ticker)
        rows = ((report, bars.index(report.reaction_session)) for report in reversed(self.past_reports(ticker)))
        return tuple(_past_move(report, bars, row) for report, row in rows if row is not None and row > 0)

    def _is_priced(self, report: Report) -> bool:
        today = self.quoted_at.date()
        far = report.reaction_session != today  # the moment itself matters on the day only
        return report.reaction_session < today if far else report.price_moment <= self.quoted_at

    def _trades(self, day: date) -> bool:
        """A contract trades to its last close and is listed until that day ends."""
        return day > self.as_of.date() or (day == self.as_of.date() and self.as_of < closing_moment(day))

    def _years_to(self, moment: datetime) -> float:
        return max((moment - self.quoted_at).total_seconds(), 60.0) / _YEAR_S


def last_trading_moment(as_of: datetime) -> datetime:
    """The last moment at or before `as_of` at which options traded."""
    day = as_of.date()
    if is_session(day) and as_of >= opening_moment(day):
        return min(as_of, closing_moment(day))
    return closing_moment(previous_session(day))


class _Kept:
    """The most recently used values, at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[Hashable, object] = OrderedDict()

    def get(self, key: Hashable, build: Callable[[], Value]) -> Value:
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]  # type: ignore[return-value]  # one kind of value a cache
        value = build()
        self._values[key] = value
        if len(self._values) > self._limit:
            self._values.popitem(last=False)
        return value


def _past_move(report: Report, bars: Bars, row: int) -> PastMove:
    before, opened, close = float(bars.close[row - 1]), float(bars.open[row]), float(bars.close[row])
    high, low = float(bars.high[row]), float(bars.low[row])
    peak = max(high / before - 1.0, low / before - 1.0, key=abs)
    return PastMove(
        earnings_date=report.day,
        timing=report.timing.value,
        reaction_session=report.reaction_session,
        close_to_close_pct=100.0 * (close / before - 1.0),
        gap_pct=100.0 * (opened / before - 1.0),
        open_to_close_pct=100.0 * (close / opened - 1.0),
        peak_pct=100.0 * peak,
    )


def _straddle_share(maturity: Maturity) -> float:
    """The European straddle struck at the forward, over the spot."""
    move = maturity.jumps.mean_abs_move(maturity.ambient_variance)
    return maturity.discount * maturity.forward * move / maturity.spot


def _atm_variance(maturity: Maturity) -> float:
    """The Black total variance of that straddle: A = 4 Φ(s/2) − 2 solved for s²."""
    move = maturity.jumps.mean_abs_move(maturity.ambient_variance)
    return (2.0 * NormalDist().inv_cdf((move + 2.0) / 4.0)) ** 2
