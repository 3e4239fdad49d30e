"""The normal distribution on numpy arrays, and Black's formula in total variance.

It knows nothing of companies or events; every function is pure and vectorised.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Hart's algorithm 5666 as given by West, "Better approximations to cumulative normal functions" (2005): double
# precision.
_NUMERATOR: Final = (
    3.52624965998911e-02,
    0.700383064443688,
    6.37396220353165,
    33.912866078383,
    112.079291497871,
    221.213596169931,
    220.206867912376,
)
_DENOMINATOR: Final = (
    8.83883476483184e-02,
    1.75566716318264,
    16.064177579207,
    86.7807322029461,
    296.564248779674,
    637.333633378831,
    793.826512519948,
    440.413735824752,
)
_NEWTON_STEPS: Final = 10
_FAR: Final = 7.07106781186547  # beyond this the tail, below 1e-12 of a share price, is called zero


def density(x: Floats) -> Floats:
    """The standard normal density."""
    return np.asarray(np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi), dtype=np.float64)


def cumulative(x: Floats) -> Floats:
    """P(Z <= x), to about 1e-12 absolute."""
    size = np.minimum(np.abs(x), _FAR)
    tail = np.exp(-0.5 * size * size) * _polynomial(_NUMERATOR, size) / _polynomial(_DENOMINATOR, size)
    return np.asarray(np.where(x > 0.0, 1.0 - tail, tail), dtype=np.float64)


def _polynomial(coefficients: tuple[float, ...], x: Floats) -> Floats:
    """Horner's scheme in place: several times faster than numpy's on short arrays."""
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total *= x
        total += coefficient
    return total


def black_call(forward: Floats, strike: Floats, variance: Floats) -> Floats:
    """The undiscounted call E(F e^X - K)+ for a lognormal of total variance `variance` > 0 (Black 1976)."""
    deviation = np.sqrt(variance)
    d1 = np.log(forward / strike) / deviation + 0.5 * deviation
    return np.asarray(forward * cumulative(d1) - strike * cumulative(d1 - deviation), dtype=np.float64)


def implied_variance(call: Floats, forward: float, strike: Floats) -> Floats:
    """Total variance that makes `black_call` equal `call`; 0 where the price is at or below intrinsic value.

    Newton from the inflection point sqrt(2|ln F/K|) of Manaster and Koehler (1982), from where it converges
    monotonically.
    """
    log_moneyness = np.log(forward / strike)
    out_of_the_money = call - np.maximum(forward - strike, 0.0)  # the cheaper twin, by parity
    start = np.maximum(np.sqrt(2.0 * np.abs(log_moneyness)), 2.5 * out_of_the_money / forward)
    deviation = np.maximum(start, 1e-4)
    for _ in range(_NEWTON_STEPS):
        d1 = log_moneyness / deviation + 0.5 * deviation
        excess = call - forward * cumulative(d1) + strike * cumulative(d1 - deviation)
        slope = np.maximum(forward * density(d1), 1e-12 * forward)
        deviation = np.clip(deviation + np.clip(excess / slope, -0.5, 0.5), 1e-6, 8.0)
    return np.asarray(np.where(out_of_the_money > 1e-9 * forward, deviation * deviation, 0.0), dtype=np.float64)
