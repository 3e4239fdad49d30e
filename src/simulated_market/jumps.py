"""The move of a stock on its report: a mixture of lognormals of given log standard deviation, priced and drawn.

One component is the textbook jump, two separated ones are bimodal (a concave smile), two of unequal width are
fat-tailed. The mixture is a martingale: the mean gross move is one. It never knows a date or a ticker.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import erf, exp, log, sqrt

import numpy as np


class JumpKind(StrEnum):
    """The shapes of the report's log move."""

    LOGNORMAL = "lognormal"
    BIMODAL = "bimodal"
    FAT_TAILED = "fat_tailed"


@dataclass(frozen=True, slots=True)
class Mixture:
    """Lognormal components: probabilities, forward factors (their weighted mean is 1) and log variances."""

    weights: tuple[float, ...]
    factors: tuple[float, ...]
    variances: tuple[float, ...]

    @property
    def log_variance(self) -> float:
        """The variance of the log move over all components."""
        means = [log(f) - 0.5 * v for f, v in zip(self.factors, self.variances, strict=True)]
        mean = sum(w * m for w, m in zip(self.weights, means, strict=True))
        rows = zip(self.weights, means, self.variances, strict=True)
        return sum(w * (v + (m - mean) ** 2) for w, m, v in rows)

    def mean_abs_move(self, ambient_variance: float) -> float:
        """E|e^X - 1| of this move together with an independent ordinary variance, as a fraction."""
        rows = zip(self.weights, self.factors, self.variances, strict=True)
        return sum(w * straddle(f, 1.0, v + ambient_variance) for w, f, v in rows)

    def followed_by(self, other: "Mixture") -> "Mixture":
        """The mixture of two independent moves, one after the other."""
        pairs = [(i, j) for i in range(len(self.weights)) for j in range(len(other.weights))]
        return Mixture(
            tuple(self.weights[i] * other.weights[j] for i, j in pairs),
            tuple(self.factors[i] * other.factors[j] for i, j in pairs),
            tuple(self.variances[i] + other.variances[j] for i, j in pairs),
        )

    def draw(self, random: np.random.Generator) -> float:
        """One log move."""
        chosen = int(np.searchsorted(np.cumsum(self.weights), random.random()))
        chosen = min(chosen, len(self.weights) - 1)
        variance = self.variances[chosen]
        return log(self.factors[chosen]) - 0.5 * variance + sqrt(variance) * float(random.standard_normal())


NO_JUMP = Mixture((1.0,), (1.0,), (0.0,))


def jump(kind: JumpKind, sigma: float) -> Mixture:
    """The mixture of `kind` whose log move has the standard deviation `sigma` (a fraction)."""
    match kind:
        case JumpKind.LOGNORMAL:
            weights, means, deviations = [1.0], [0.0], [sigma]
        case JumpKind.BIMODAL:
            weights, means, deviations = [0.5, 0.5], [-0.9 * sigma, 0.9 * sigma], [sigma * sqrt(0.19)] * 2
        case JumpKind.FAT_TAILED:
            narrow = sigma / sqrt(0.8 + 0.2 * 2.6**2)
            weights, means, deviations = [0.8, 0.2], [0.0, 0.0], [narrow, 2.6 * narrow]
    factors = [exp(m + 0.5 * d * d) for m, d in zip(means, deviations, strict=True)]
    mean = sum(w * f for w, f in zip(weights, factors, strict=True))
    return Mixture(tuple(weights), tuple(f / mean for f in factors), tuple(d * d for d in deviations))


def straddle(forward: float, strike: float, variance: float) -> float:
    """E|F e^X - K| for a lognormal of total variance `variance`, undiscounted."""
    if variance <= 0.0:
        return abs(forward - strike)
    deviation = sqrt(variance)
    d1 = log(forward / strike) / deviation + 0.5 * deviation
    return forward * erf(d1 / sqrt(2.0)) - strike * erf((d1 - deviation) / sqrt(2.0))
