"""One expiration's quotes as the exchanges would show them: ticks, spreads, sizes, open interest and the vendor's
hourly greeks.

Every quote brackets the true value. Columns are numpy arrays by strike with calls in row 0 and puts in row 1; a dialect
turns them into rows.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from simulated_market.companies import Company
from simulated_market.listing import Expiration
from simulated_market.normal import Floats, cumulative, density, implied_variance
from simulated_market.pricing import RISK_FREE_RATE, Maturity, value_options
from simulated_market.seeding import stream

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Greeks:
    """The vendor's columns; those of shape (strikes,) are the call's and shown for both sides, as the vendor does."""

    delta: Floats  # (2, strikes)
    gamma: Floats
    theta: Floats
    vega: Floats
    rho: Floats
    phi: Floats
    bid_iv: Floats  # (2, strikes)
    mid_iv: Floats
    ask_iv: Floats
    smv_vol: Floats  # (strikes,)


@dataclass(frozen=True, slots=True)
class Chain:
    """Quotes of one expiration; arrays are (2, strikes) unless said otherwise, dollars and contracts."""

    expiration: Expiration
    maturity: Maturity
    strikes: Floats  # (strikes,)
    fair: Floats
    bid: Floats
    ask: Floats
    last: Floats  # 0.0 where never traded
    volume: Integers
    open_interest: Integers
    bid_size: Integers
    ask_size: Integers
    put_first: NDArray[np.bool_]  # (strikes,): the order within a strike varies row by row
    greeks: Greeks


def quote_chain(seed: int, company: Company, expiration: Expiration, maturity: Maturity, strikes: Floats) -> Chain:
    """Quotes at `strikes`, the same for the same seed, company and expiration."""
    values = value_options(maturity, strikes)
    fair = np.stack([values.call, values.put])
    random = stream(seed, company.ticker, "quotes", expiration.day.isoformat())
    bid, ask = _bracket(company, maturity, strikes, fair, random.random(fair.shape))
    distance = np.abs(np.log(strikes / maturity.forward)) / sqrt(maturity.total_variance)
    interest, volume = _activity(company, distance, random)
    premiums = np.stack([values.call_premium, values.put_premium])
    traded = interest > 0
    return Chain(
        expiration=expiration,
        maturity=maturity,
        strikes=strikes,
        fair=fair,
        bid=bid,
        ask=ask,
        last=np.where(traded, np.round(np.maximum(bid + (ask - bid) * random.random(fair.shape), 0.01), 2), 0.0),
        volume=volume,
        open_interest=interest,
        bid_size=random.integers(1, 400, fair.shape),
        ask_size=random.integers(1, 400, fair.shape),
        put_first=random.random(strikes.shape) < 0.4,
        greeks=_greeks(maturity, strikes, fair=fair, premiums=premiums, bid=bid, ask=ask),
    )


def _bracket(
    company: Company, maturity: Maturity, strikes: Floats, fair: Floats, lean: Floats
) -> tuple[Floats, Floats]:
    """Tick-rounded bid <= fair <= ask; a wing worth less than half a tick has no bid."""
    tick = _ticks(company, fair)
    thin = 0.008 + 0.12 * (1.0 - company.liquidity) ** 2
    intrinsic = np.stack([np.maximum(maturity.spot - strikes, 0.0), np.maximum(strikes - maturity.spot, 0.0)])
    width = tick + thin * np.minimum(fair - 0.5 * intrinsic, 0.08 * maturity.spot) + 0.03 * thin * intrinsic
    below = width * (0.3 + 0.4 * lean)
    bid = np.floor((fair - below) / tick + 1e-9) * tick
    ask = np.ceil((fair + width - below) / tick - 1e-9) * tick
    bid = np.where(fair < 0.5 * tick, 0.0, np.maximum(bid, 0.0))
    return np.asarray(np.round(bid, 2)), np.asarray(np.round(np.maximum(ask, tick), 2))


def _ticks(company: Company, fair: Floats) -> Floats:
    """A cent below three dollars and a nickel above for the liquid classes, a nickel and a dime for the rest."""
    small, large = (0.01, 0.05) if company.liquidity > 0.5 else (0.05, 0.10)
    return np.asarray(np.where(fair < 3.0, small, large), dtype=np.float64)


def _activity(company: Company, distance: Floats, random: np.random.Generator) -> tuple[Integers, Integers]:
    busy = 6000.0 * company.liquidity**3 * np.exp(-0.7 * distance)
    noise = random.lognormal(-0.5, 1.0, (2, len(distance)))
    interest = np.floor(busy * noise).astype(np.int64)
    volume = np.floor(0.25 * interest * random.random(interest.shape)).astype(np.int64)
    return interest, volume


def _greeks(maturity: Maturity, strikes: Floats, *, fair: Floats, premiums: Floats, bid: Floats, ask: Floats) -> Greeks:
    forward, discount, years = maturity.forward, maturity.discount, maturity.years
    two_sided_mid = np.where(bid > 0.0, 0.5 * (bid + ask), ask)
    prices = np.stack([fair, bid, two_sided_mid, ask]) - premiums
    prices[:, 1] += discount * (forward - strikes)  # puts as calls, by parity
    variance = implied_variance(prices / discount, forward, strikes)
    vols = np.round(np.minimum(np.sqrt(variance / years), 9.99), 6)
    deviation = np.sqrt(np.maximum(variance[0, 0], 1e-8))
    d1 = np.log(forward / strikes) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    call_delta = cumulative(d1)
    bell = forward * discount * density(d1)
    carry = RISK_FREE_RATE * strikes * discount * cumulative(d2)
    return Greeks(
        delta=np.stack([call_delta, call_delta - 1.0]),
        gamma=bell / (maturity.spot**2 * deviation),
        theta=-(bell * deviation / (2.0 * years) + carry) / 365.0,
        vega=bell * sqrt(years) / 100.0,
        rho=strikes * years * discount * cumulative(d2) / 100.0,
        phi=-maturity.spot * years * call_delta / 100.0,
        bid_iv=np.where(bid > 0.0, vols[1], 0.0),
        mid_iv=vols[2],
        ask_iv=vols[3],
        smv_vol=np.round(deviation / sqrt(years), 3),
    )
