"""Seeded chains with known truth, from a model that no estimator knows: mixtures of lognormals, priced exactly.

Ordinary days are a skewed two-component mixture whose variance has a term structure; the jump is lognormal, two-humped,
lopsided or fat-tailed. There is no rate and no dividend, so American and European prices agree and nothing but the
event model is tested. Quotes have spreads, ticks, missing and stale rows.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import erf

import numpy as np

from ivcrush.application.metrics.session_clock import SessionClock, reaction_session, variance_days_per_year
from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import (
    AnalysisRequest,
    EvaluationSettings,
    FloatArray,
    MarketSnapshot,
    OptionChain,
    OptionColumns,
    RealisedVolatility,
    Ticker,
    UnderlyingQuote,
)

CALENDAR = MarketCalendar()
SHAPES = ("lognormal", "two_humps", "lopsided", "fat_tails")
_ERF = np.frompyfunc(erf, 1, 1)


@dataclass(frozen=True, slots=True)
class World:
    """A snapshot and what is true of it: the session's expected absolute move in percent, the event's expiration."""

    snapshot: MarketSnapshot
    event_move_pct: float
    jump_sigma_pct: float
    expiration: date
    shape: str


Mixture = tuple[FloatArray, FloatArray, FloatArray]  # weights, means, variances of a log move


def build_world(seed: int) -> World:
    """One company on one afternoon before its report; everything about it is drawn from the seed."""
    rng = np.random.default_rng(seed)
    report = CALENDAR.session_on_or_after(date(2026, 1, 12) + timedelta(int(rng.integers(0, 300))))
    timing = Timing.AMC if rng.random() < 0.55 else Timing.BMO
    reaction = reaction_session(report, timing, CALENDAR)
    today = CALENDAR.previous_session(reaction)
    for _ in range(int(rng.choice((0, 0, 0, 1, 2, 3, 5, 8)))):
        today = CALENDAR.previous_session(today)
    as_of = datetime.combine(today, time(15, 45), NEW_YORK)
    shape = SHAPES[int(rng.choice(4, p=(0.55, 0.15, 0.15, 0.15)))]
    jump_sigma = float(np.exp(rng.normal(np.log(0.065), 0.45)))
    jump = _jump(shape, jump_sigma, rng)
    ambient = float(np.exp(rng.normal(np.log(0.35), 0.35)))
    tilt, decay = float(np.exp(rng.normal(0.0, 0.3))), float(rng.uniform(4, 16))
    expirations = _expirations(today, reaction, rng)
    days = [*expirations, CALENDAR.previous_session(reaction), reaction]
    weight = float(rng.choice((0.0, 0.1, 0.2, 0.3)))
    years = SessionClock.to_closes(as_of, days, CALENDAR).variance_time(weight) / variance_days_per_year(weight)
    ordinary = ambient**2 * (years + (tilt - 1) * (1 - np.exp(-decay * years)) / decay)
    skew, tails = float(rng.normal(-0.25, 0.15)), float(rng.uniform(0.1, 0.5))
    spot = float(np.exp(rng.uniform(np.log(12), np.log(400))))
    spread = float(np.exp(rng.uniform(np.log(0.006), np.log(0.12))))
    chains = []
    for index, expiration in enumerate(expirations):
        move = _ambient(float(ordinary[index]), skew, tails)
        if expiration >= reaction:
            move = _sum(move, jump)
        chains.append(_chain(expiration, move, spot, spread, as_of, rng))
    day = _sum(_ambient(float(ordinary[-1] - ordinary[-2]), skew, tails), jump)
    realised = RealisedVolatility(ambient * float(np.exp(rng.normal(-0.03, 0.15))), 240, today)
    ticker = Ticker("SIM")
    return World(
        MarketSnapshot(
            AnalysisRequest(ticker, report, timing, DateStatus.CONFIRMED, ReportSource.ARGUMENT),
            as_of,
            UnderlyingQuote(ticker, spot * 0.9999, spot * 1.0001, spot, spot, as_of, as_of),
            tuple(expirations),
            tuple(chains),
            (),
            (),
            (),
            realised if rng.random() < 0.9 or len(expirations) < 3 else None,
            EvaluationSettings(risk_free_rate_pct=0.0),
        ),
        100 * expected_absolute_move(day),
        100 * jump_sigma,
        min(each for each in expirations if each >= reaction),
        shape,
    )


def expected_absolute_move(move: Mixture) -> float:
    """E|e^Y − 1| of a mixture with E e^Y = 1: the straddle struck at the forward."""
    return float(_call(move, np.array([1.0]))[0] * 2)


def _jump(shape: str, sigma: float, rng: np.random.Generator) -> Mixture:
    """A mixture of that standard deviation."""
    if shape == "lognormal":
        weights, means, variances = [1.0], [0.0], [1.0]
    elif shape == "two_humps":
        part = float(rng.uniform(0.5, 0.85))
        weights, means, variances = [0.5, 0.5], [part**0.5, -(part**0.5)], [1 - part, 1 - part]
    elif shape == "lopsided":
        share, part = float(rng.uniform(0.2, 0.4)), float(rng.uniform(0.3, 0.6))
        low = -((part * (1 - share) / share) ** 0.5)
        weights, means, variances = [share, 1 - share], [low, -low * share / (1 - share)], [1 - part, 1 - part]
    else:
        share, ratio = float(rng.uniform(0.1, 0.3)), float(rng.uniform(4, 10))
        narrow = 1 / (1 - share + share * ratio)
        weights, means, variances = [1 - share, share], [0.0, 0.0], [narrow, narrow * ratio]
    return _fair(np.array(weights), np.array(means) * sigma, np.array(variances) * sigma**2)


def _ambient(variance: float, skew: float, tails: float) -> Mixture:
    """Ordinary days: now and then a wider, lower component."""
    weights = np.array((0.8, 0.2))
    means = np.array((-0.25 * skew, skew)) * 0.5
    spread = np.array((1 - 0.5 * tails, 1 + 2 * tails))
    scale = float((weights * (spread + means**2)).sum())
    return _fair(weights, means * (variance / scale) ** 0.5, spread * variance / scale)


def _fair(weights: FloatArray, means: FloatArray, variances: FloatArray) -> Mixture:
    return weights, means - np.log((weights * np.exp(means + variances / 2)).sum()), variances


def _sum(one: Mixture, other: Mixture) -> Mixture:
    return (
        np.outer(one[0], other[0]).ravel(),
        np.add.outer(one[1], other[1]).ravel(),
        np.add.outer(one[2], other[2]).ravel(),
    )


def _call(move: Mixture, strikes: FloatArray) -> FloatArray:
    """Undiscounted calls on a forward of 1."""
    weights, means, variances = (each[:, None] for each in move)
    width = np.sqrt(variances)
    upper = (means + variances - np.log(strikes)) / width
    share = np.exp(means + variances / 2)
    values: FloatArray = (weights * (share * _cdf(upper) - strikes * _cdf(upper - width))).sum(axis=0)
    return values


def _cdf(x: FloatArray) -> FloatArray:
    share: FloatArray = 0.5 * (1 + _ERF(x * 0.5**0.5).astype(np.float64))
    return share


def _expirations(today: date, reaction: date, rng: np.random.Generator) -> list[date]:
    fridays = [day for n in range(1, 90) if (day := today + timedelta(n)).weekday() == 4]
    monthly = [day for day in fridays if 15 <= day.day <= 21]
    chosen = sorted({*fridays[: int(rng.integers(3, 6))], *monthly}) if rng.random() < 0.6 else monthly
    sessions = [CALENDAR.session_on_or_before(day) for day in chosen]
    if max(sessions) < reaction:
        sessions.append(CALENDAR.session_on_or_before(reaction + timedelta(20)))
    return sessions


def _chain(
    expiration: date, move: Mixture, spot: float, spread: float, as_of: datetime, rng: np.random.Generator
) -> OptionChain:
    width = float((move[0] * (move[1] ** 2 + move[2])).sum()) ** 0.5
    step = max(0.5, float(10 ** np.floor(np.log10(spot)) / 20)) * float(rng.choice((1, 2)))
    reach = max(3 * width, 3 * step / spot)
    strikes = step * np.arange(max(1, np.ceil(spot * np.exp(-reach) / step)), np.floor(spot * np.exp(reach) / step) + 1)
    calls = spot * _call(move, strikes / spot)
    noise = 1 + 0.004 * float(rng.normal())
    sides = []
    for values, intrinsic in ((calls, spot - strikes), (calls - spot + strikes, strikes - spot)):
        time_value = (values - np.maximum(intrinsic, 0)) * noise
        value = time_value + np.maximum(intrinsic, 0)
        half = np.maximum(0.5 * spread * (0.7 * time_value + 0.1 * value + 0.02 * spot * width), 0.005)
        centre = value + half * rng.uniform(-0.4, 0.4, len(strikes))
        tick = 0.05 if spread > 0.05 else 0.01
        bid = np.maximum(np.floor((centre - half) / tick) * tick, 0.0)
        ask = np.ceil((centre + half) / tick) * tick
        listed = rng.random(len(strikes)) > 0.05
        sides.append(_columns(np.round(bid, 2), np.round(ask, 2), listed, as_of))
    return OptionChain(Ticker("SIM"), expiration, strikes, sides[0], sides[1])


def _columns(bid: FloatArray, ask: FloatArray, listed: np.ndarray, as_of: datetime) -> OptionColumns:
    whole, empty = np.full(len(bid), 100), np.zeros(len(bid))
    quoted = np.full(len(bid), as_of.timestamp())
    return OptionColumns(listed, bid * listed, ask * listed, whole, whole, whole, whole, empty, quoted * listed)
