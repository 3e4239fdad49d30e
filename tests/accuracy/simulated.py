"""Companies of the embedded simulated market as snapshots with known truth, without a socket between.

Its quotes bracket the model's values better than any market maker's do. Here each expiration's volatility is off by
0.4 % and each mid wanders by up to half of its half-spread, as between the recorded markets' expirations.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import numpy as np

from ivcrush.application.metrics.earnings_moves import ex_earnings_volatility
from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import (
    AnalysisRequest,
    DailyBar,
    Dividend,
    EvaluationSettings,
    MarketSnapshot,
    OptionChain,
    OptionColumns,
    Ticker,
    UnderlyingQuote,
)
from simulated_market.chains import Chain
from simulated_market.truth import Truth
from simulated_market.world import World

CALENDAR = MarketCalendar()
RATE_PCT = 4.0
FARTHEST = timedelta(110)
VOLATILITY_NOISE = 0.004


def simulated_snapshots(seed: int, as_of: datetime, size: int = 60) -> Iterator[tuple[MarketSnapshot, Truth]]:
    """Every company of one seeded world that has options over its coming report, with its truth."""
    world = World(seed, as_of, size=size, idle_day_weight=0.05 * (seed % 6))
    for ticker in world.tickers:
        listing, report = world.listing(ticker), world.upcoming(ticker)
        if report is None or not listing.company.has_options:
            continue
        days = [one.day for one in world.expirations(ticker) if one.day <= as_of.date() + FARTHEST]
        chains = [chain for day in days if (chain := world.chain(ticker, day)) is not None]
        if chains and chains[-1].expiration.day >= report.reaction_session:
            yield _snapshot(world, ticker, chains), world.truth(ticker)


def _snapshot(world: World, symbol: str, chains: list[Chain]) -> MarketSnapshot:
    ticker, listing, report = Ticker(symbol), world.listing(symbol), world.upcoming(symbol)
    assert report is not None
    spot, as_of = world.spot(symbol), world.as_of
    bars = world.bars(symbol)
    prices = zip(bars.days, bars.open, bars.high, bars.low, bars.close, strict=True)
    daily = tuple(
        DailyBar(day, float(first), float(high), float(low), float(last), 0)
        for day, first, high, low, last in prices
        if day < as_of.date()
    )
    rng = np.random.default_rng((world.seed, *symbol.encode()))
    reactions = frozenset(each.reaction_session for each in listing.reports)
    return MarketSnapshot(
        request=AnalysisRequest(
            ticker, report.day, Timing(report.timing.value), DateStatus.CONFIRMED, ReportSource.ARGUMENT
        ),
        as_of=as_of,
        quote=UnderlyingQuote(ticker, spot * 0.9999, spot * 1.0001, spot, spot, as_of, as_of),
        expirations=tuple(chain.expiration.day for chain in chains),
        chains=tuple(_chain(ticker, chain, as_of, rng) for chain in chains),
        moves=(),
        missing=(),
        dividends=tuple(Dividend(paid.ex_date, paid.amount) for paid in listing.dividends),
        realised=ex_earnings_volatility(daily, reactions, CALENDAR, through=daily[-1].session),
        settings=EvaluationSettings(risk_free_rate_pct=RATE_PCT),
        calendar=CALENDAR,
    )


def _chain(ticker: Ticker, chain: Chain, as_of: datetime, rng: np.random.Generator) -> OptionChain:
    count = len(chain.strikes)
    empty, quoted = np.zeros(count), np.full(count, as_of.timestamp())
    intrinsic = np.maximum(np.array((1.0, -1.0))[:, None] * (chain.maturity.spot - chain.strikes), 0.0)
    moved = VOLATILITY_NOISE * float(rng.normal()) * np.maximum(chain.fair - intrinsic, 0.0)
    moved += 0.25 * rng.uniform(-1, 1, chain.bid.shape) * (chain.ask - chain.bid)
    two_sided = (chain.bid > 0) & (chain.bid + moved > 0)
    bid = np.where(two_sided, chain.bid + moved, chain.bid)
    ask = np.where(two_sided, chain.ask + moved, chain.ask)
    sides = [
        OptionColumns(
            np.ones(count, dtype=np.bool_),
            bid[side],
            ask[side],
            chain.bid_size[side],
            chain.ask_size[side],
            chain.volume[side],
            chain.open_interest[side],
            empty,
            quoted,
        )
        for side in (0, 1)
    ]
    return OptionChain(ticker, chain.expiration.day, chain.strikes, sides[0], sides[1])


def afternoon(day: date) -> datetime:
    """A quarter of an hour before an ordinary close."""
    return datetime(day.year, day.month, day.day, 15, 45, tzinfo=NEW_YORK)
