"""Cassettes of recorded or simulated markets as snapshots, read without the providers' clients.

A cassette is `{as_of, quotes, chains, history, dividends, earnings, earnings_calendar, …}`; see its replay server.
"""

import csv
import gzip
import io
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ivcrush.application.metrics.earnings_moves import ex_earnings_volatility
from ivcrush.application.metrics.session_clock import reaction_session
from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.types import (
    AnalysisRequest,
    DailyBar,
    Dividend,
    EvaluationSettings,
    MarketSnapshot,
    OptionChain,
    OptionColumns,
    RealisedVolatility,
    Ticker,
    UnderlyingQuote,
)

_TIMINGS = {"post-market": Timing.AMC, "pre-market": Timing.BMO}


def read_cassette(path: Path) -> dict[str, Any]:
    """The cassette as its JSON says."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return dict(json.load(file))


def snapshot_of(cassette: dict[str, Any], rate_pct: float, calendar: MarketCalendar | None = None) -> MarketSnapshot:
    """The one company of a cassette as of its moment, with dividends and realised volatility."""
    calendar = calendar or MarketCalendar()
    (symbol,) = cassette["chains"]
    as_of = datetime.fromisoformat(cassette["as_of"])
    row = next(iter(csv.DictReader(io.StringIO(cassette["earnings_calendar"]))))
    chains = tuple(
        chain_of(symbol, date.fromisoformat(day), rows) for day, rows in sorted(cassette["chains"][symbol].items())
    )
    quote = cassette["quotes"][symbol]
    return MarketSnapshot(
        request=AnalysisRequest(
            Ticker(symbol),
            date.fromisoformat(row["reportDate"]),
            _TIMINGS[row["timeOfTheDay"]],
            DateStatus.CONFIRMED,
            ReportSource.ALPHA_VANTAGE,
        ),
        as_of=as_of,
        quote=UnderlyingQuote(
            Ticker(symbol), quote["bid"], quote["ask"], quote["last"], quote["prevclose"], as_of, as_of
        ),
        expirations=tuple(chain.expiration for chain in chains),
        chains=chains,
        moves=(),
        missing=(),
        dividends=tuple(
            Dividend(date.fromisoformat(each["ex_dividend_date"]), float(each["amount"]))
            for each in cassette.get("dividends", {}).get(symbol, [])
        ),
        realised=realised_of(cassette, symbol, calendar),
        settings=EvaluationSettings(risk_free_rate_pct=rate_pct),
        calendar=calendar,
    )


def chain_of(symbol: str, expiration: date, rows: list[dict[str, Any]]) -> OptionChain:
    """One expiration's standard contracts in columns."""
    standard = [row for row in rows if row["root_symbol"] == symbol and row["contract_size"] == 100]
    strikes = np.array(sorted({float(row["strike"]) for row in standard}))
    sides = {}
    for right in ("call", "put"):
        chosen = {float(row["strike"]): row for row in standard if row["option_type"] == right}
        ordered = [chosen.get(float(strike)) for strike in strikes]
        sides[right] = OptionColumns(
            present=np.array([row is not None for row in ordered]),
            bid=_column(ordered, "bid"),
            ask=_column(ordered, "ask"),
            bid_size=_column(ordered, "bidsize").astype(np.int64),
            ask_size=_column(ordered, "asksize").astype(np.int64),
            volume=_column(ordered, "volume").astype(np.int64),
            open_interest=_column(ordered, "open_interest").astype(np.int64),
            iv=np.zeros(len(strikes)),
            quoted_at=np.minimum(_column(ordered, "bid_date"), _column(ordered, "ask_date")) / 1000,
        )
    dropped = len(rows) - len(standard)
    return OptionChain(
        Ticker(symbol), expiration, strikes, sides["call"], sides["put"], (("adjusted", dropped),) if dropped else ()
    )


def realised_of(cassette: dict[str, Any], symbol: str, calendar: MarketCalendar) -> RealisedVolatility | None:
    """Ordinary daily log returns of the cassette's bars, reaction sessions left out."""
    days = cassette["history"].get(symbol, [])
    reactions = {
        reaction_session(date.fromisoformat(row["reportedDate"]), _TIMINGS[row["reportTime"]], calendar)
        for row in cassette["earnings"].get(symbol, {}).get("quarterlyEarnings", [])
        if row["reportTime"] in _TIMINGS
    }
    bars = [
        DailyBar(date.fromisoformat(day["date"]), day["open"], day["high"], day["low"], day["close"], day["volume"])
        for day in days
    ]
    if not bars:
        return None
    return ex_earnings_volatility(bars, reactions, calendar, through=bars[-1].session)


def _column(rows: list[dict[str, Any] | None], name: str) -> np.ndarray:
    return np.array([float((row or {}).get(name) or 0) for row in rows])
