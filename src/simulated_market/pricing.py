"""What American options on a stock with cash dividends and a scheduled jump are worth.

European value under the mixture (Black per component, a smile on the ambient part), plus the early-exercise premium of
a binomial lattice in which the jump's variance passes at the report and not spread over the life. Prices only: no
ticks, no spreads.
"""

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from simulated_market.jumps import Mixture
from simulated_market.normal import Floats, black_call

RISK_FREE_RATE = 0.04
_LATTICE_STEPS = 60  # premiums to within half a cent of a converged tree on a 100-dollar stock
_SMILE_REACH = 3.0  # standard deviations beyond which the smile is nearly flat


@dataclass(frozen=True, slots=True)
class Maturity:
    """Everything one expiration's prices depend on; years are calendar years from the quote, variances are total.

    `dividends` are (years until ex-date, dollars); `jumps_at` are (years until the price moves, log variance).
    """

    spot: float
    years: float
    ambient_variance: float
    jumps: Mixture
    jumps_at: tuple[tuple[float, float], ...]
    dividends: tuple[tuple[float, float], ...]
    smile_slope: float
    smile_curvature: float

    @property
    def discount(self) -> float:
        """The value today of a dollar at expiration."""
        return exp(-RISK_FREE_RATE * self.years)

    @property
    def escrowed_spot(self) -> float:
        """The spot less the present value of the dividends before expiration."""
        return self.spot - sum(amount * exp(-RISK_FREE_RATE * when) for when, amount in self.dividends)

    @property
    def forward(self) -> float:
        """The forward price for expiration: no borrow cost in this market."""
        return self.escrowed_spot / self.discount

    @property
    def total_variance(self) -> float:
        """Ambient and jump log variance together."""
        return self.ambient_variance + self.jumps.log_variance


@dataclass(frozen=True, slots=True)
class Values:
    """Option values in dollars by strike; `*_premium` is the early-exercise part."""

    call: Floats
    put: Floats
    call_premium: Floats
    put_premium: Floats


def value_options(maturity: Maturity, strikes: Floats) -> Values:
    """American calls and puts at `strikes`, never below what exercising now pays."""
    forward, discount = maturity.forward, maturity.discount
    call = discount * _undiscounted_calls(maturity, strikes)
    put = call - discount * (forward - strikes)
    call_premium, put_premium = _early_exercise_premiums(maturity, strikes)
    american_call = np.maximum(call + call_premium, np.maximum(maturity.spot - strikes, 0.0))
    american_put = np.maximum(put + put_premium, np.maximum(strikes - maturity.spot, 0.0))
    return Values(american_call, american_put, american_call - call, american_put - put)


def _undiscounted_calls(maturity: Maturity, strikes: Floats) -> Floats:
    forward = maturity.forward
    scale = sqrt(maturity.total_variance)
    z = _SMILE_REACH * np.tanh(np.log(strikes / forward) / scale / _SMILE_REACH)
    smile = 1.0 + maturity.smile_slope * z + maturity.smile_curvature * z * z
    ambient = maturity.ambient_variance * smile * smile
    total = np.zeros_like(strikes)
    mixture = maturity.jumps
    for weight, factor, variance in zip(mixture.weights, mixture.factors, mixture.variances, strict=True):
        total += weight * black_call(np.full_like(strikes, forward * factor), strikes, ambient + variance)
    return total


def _early_exercise_premiums(maturity: Maturity, strikes: Floats) -> tuple[Floats, Floats]:
    """American less European value on one lattice; a call without dividends is never exercised early."""
    signs = np.array([-1.0]) if not maturity.dividends else np.array([-1.0, 1.0])
    premium = _lattice_premium(maturity, strikes, signs)
    return (premium[1] if len(signs) == 2 else np.zeros_like(strikes)), premium[0]


def _lattice_premium(maturity: Maturity, strikes: Floats, signs: Floats) -> Floats:
    """Premiums of shape (signs, strikes); axis order inside is (sign, node, strike)."""
    steps = _LATTICE_STEPS
    up = exp(sqrt(maturity.total_variance / steps))
    probability = (1.0 - 1.0 / up) / (up - 1.0 / up)
    times = _times_of_steps(maturity, steps)
    ranks = np.arange(steps + 1)
    sign = signs[:, None, None]
    terminal = maturity.forward * up ** (2.0 * ranks - steps)
    european = np.maximum(sign * (terminal[None, :, None] - strikes[None, None, :]), 0.0)
    american = european
    for step in range(steps - 1, -1, -1):
        keep = exp(-RISK_FREE_RATE * (times[step + 1] - times[step]))
        european = keep * (probability * european[:, 1:] + (1.0 - probability) * european[:, :-1])
        american = keep * (probability * american[:, 1:] + (1.0 - probability) * american[:, :-1])
        now = float(times[step])
        stock = maturity.escrowed_spot * exp(RISK_FREE_RATE * now) * up ** (2.0 * np.arange(step + 1) - step)
        stock = stock + sum(a * exp(-RISK_FREE_RATE * (when - now)) for when, a in maturity.dividends if when > now)
        american = np.maximum(american, sign * (stock[None, :, None] - strikes[None, None, :]))
    return np.asarray((american - european)[:, 0, :], dtype=np.float64)


def _times_of_steps(maturity: Maturity, steps: int) -> Floats:
    """Calendar time at each of `steps` + 1 equal parts of the total variance: it stands still while a jump passes."""
    knots_time, knots_variance, passed = [0.0], [0.0], 0.0
    for when, variance in maturity.jumps_at:
        ordinary = maturity.ambient_variance * when / maturity.years
        knots_time += [when, when]
        knots_variance += [ordinary + passed, ordinary + passed + variance]
        passed += variance
    knots_time.append(maturity.years)
    knots_variance.append(maturity.ambient_variance + passed)
    levels = np.linspace(0.0, knots_variance[-1], steps + 1)
    return np.asarray(np.interp(levels, knots_variance, knots_time), dtype=np.float64)
