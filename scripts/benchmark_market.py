"""What the benchmark reads: replies of the simulated market as bytes, and the snapshot they belong to.

It takes no time and prints nothing.
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import orjson

from ivcrush.application.metrics.earnings_moves import ex_earnings_volatility, measure_moves
from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.domain.analysis import TickerAnalysis
from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.errors import Err
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.types import (
    AnalysisRequest,
    DailyBar,
    Dividend,
    EvaluationSettings,
    FloatArray,
    MarketSnapshot,
    OptionChain,
    PastReport,
    Ticker,
    UnderlyingQuote,
)
from ivcrush.infrastructure.api.option_chain_parse import CHAIN_DECODER, parse_chain
from simulated_market import World
from simulated_market.chains import quote_chain
from simulated_market.messages import encode_json
from simulated_market.schedule import Report
from simulated_market.tradier_rows import option_rows

STRIKES = 100  # of each chain: 200 quotes


@dataclass(frozen=True, slots=True)
class Recorded:
    """One company's replies as bytes, by expiration, and the snapshot that lacks only what is in them."""

    bodies: tuple[tuple[date, bytes], ...]
    rest: MarketSnapshot

    @property
    def quotes(self) -> int:
        """How many option rows the replies hold."""
        return sum(len(CHAIN_DECODER.decode(body).options.option) for _, body in self.bodies)

    def decode(self) -> None:
        """The bare decoding into the same Structs that everything else starts with."""
        for _, body in self.bodies:
            CHAIN_DECODER.decode(body)

    def decode_to_dicts(self) -> None:
        """What a program without a schema would do."""
        for _, body in self.bodies:
            orjson.loads(body)

    def parse(self) -> tuple[OptionChain, ...]:
        """Bytes to columns."""
        return tuple(self._chain(day, body) for day, body in self.bodies)

    def analyse(self) -> TickerAnalysis:
        """Bytes to the whole answer."""
        analysis = evaluate(replace(self.rest, chains=self.parse()))
        if isinstance(analysis, Err):
            raise TypeError(f"the benchmark's own market has no answer: {analysis.error}")
        return analysis.value

    def _chain(self, day: date, body: bytes) -> OptionChain:
        chain = parse_chain(body, self.rest.request.ticker, day)
        if isinstance(chain, Err):
            raise TypeError(f"the benchmark's own market cannot be read: {chain.error}")
        return chain.value


def recorded(world: World, symbol: str, *, depth: int) -> Recorded:
    """A company's chains of 200 quotes as Tradier would send them: `depth` from the event's on and the one before.

    A depth of 1 is the event's chain alone.
    """
    report, listed = _report(world, symbol), world.expirations(symbol)
    holding = [one for one in listed if one.day >= report.reaction_session][:depth]
    before = [one for one in listed if world.as_of.date() < one.day < report.reaction_session][-1:] if depth > 1 else []
    bodies = []
    for expiration in (*before, *holding):
        maturity, company = world.maturity(symbol, expiration.day), world.listing(symbol).company
        chain = quote_chain(world.seed, company, expiration, maturity, _strikes(world.spot(symbol)))
        rows = option_rows(world, symbol, chain, greeks=True, delay_s=0, adjusted=False)
        bodies.append((expiration.day, encode_json({"options": {"option": rows}})))
    return Recorded(tuple(bodies), _without_chains(world, symbol))


def _strikes(spot: float) -> FloatArray:
    """A hundred of them, half-dollar steps of about 0.6 % around the spot."""
    step = max(0.5, round(0.012 * spot) / 2)
    return step * (round(spot / step) + np.arange(-STRIKES // 2, STRIKES // 2, dtype=np.float64))


def _without_chains(world: World, symbol: str) -> MarketSnapshot:
    """Everything else that the analysis of a company's coming report is computed from."""
    ticker, listing, report = Ticker(symbol), world.listing(symbol), _report(world, symbol)
    calendar, spot, today = MarketCalendar(), world.spot(symbol), world.as_of.date()
    daily = _finished_sessions(world, symbol)
    past = [PastReport(one.day, Timing(one.timing.value), one.fiscal_end) for one in world.past_reports(symbol)]
    moves, missing = measure_moves(past, daily, calendar, through=daily[-1].session)
    reactions = {one.reaction_session for one in listing.reports}
    settings = EvaluationSettings()
    return MarketSnapshot(
        request=AnalysisRequest(
            ticker, report.day, Timing(report.timing.value), DateStatus.CONFIRMED, ReportSource.ARGUMENT
        ),
        as_of=world.as_of,
        quote=UnderlyingQuote(ticker, spot - 0.01, spot + 0.01, spot, spot, world.as_of, world.as_of),
        expirations=tuple(one.day for one in world.expirations(symbol)),
        chains=(),
        moves=moves[: settings.max_quarters],
        missing=missing,
        dividends=tuple(Dividend(paid.ex_date, paid.amount) for paid in listing.dividends if paid.ex_date > today),
        realised=ex_earnings_volatility(daily, reactions, calendar, through=daily[-1].session),
        settings=settings,
        calendar=calendar,
    )


def _finished_sessions(world: World, symbol: str) -> tuple[DailyBar, ...]:
    """The daily bars up to yesterday's, whose volume nothing reads."""
    bars, today = world.bars(symbol), world.as_of.date()
    columns = [column.tolist() for column in (bars.open, bars.high, bars.low, bars.close)]
    rows = zip(bars.days, *columns, strict=True)
    return tuple(DailyBar(day, opened, high, low, close, 0) for day, opened, high, low, close in rows if day < today)


def _report(world: World, symbol: str) -> Report:
    report = world.upcoming(symbol)
    if report is None:
        raise LookupError(f"{symbol}: reports no earnings")
    return report
