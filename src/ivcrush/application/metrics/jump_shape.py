"""How the shape of a jump bends what at-the-forward options show of variance.

Variances add, straddles do not: an at-the-forward straddle is E|Y|, and only for a normal Y is that √(2/π) standard
deviations. A jump of two humps (good news or bad, little between) or of fat tails is described by one number, the
smile's curvature at the forward, and by a two-component normal mixture that has it; adding ordinary variance to the
mixture then says what every other expiration and the reaction session itself show. The link is the density at zero,
√(2πw)·p(0) = 1 + 2b for σ(z)/σ(0) = 1 + slope·z + b·z² (the second strike derivative of Black's formula at the
forward). Values only: no dates, no quotes.
"""

from dataclasses import dataclass
from math import erf, exp, log, pi, sqrt

# Before its smile is seen a jump is lognormal, give or take this much curvature of its own; ordinary variance dilutes
# it with the square of the jump's share, as it does kurtosis.
PRIOR_SD = 0.08
# The most that either mixture can be bent before one of its components has no width.
LEAST_BEND, MOST_BEND = -0.45, 0.5
# Less is rounding: no smile is known to so many digits.
STRAIGHT = 1e-9
# Fat tails: one report in five comes from the wider component.
WIDE_WEIGHT = 0.2
_BISECTIONS, _NEWTON_STEPS = 40, 8
# Between sharp humps a straddle does not see variance at all.
LEAST_GROWTH = 1e-6


@dataclass(frozen=True, slots=True)
class JumpShape:
    """A symmetric jump: two humps `hump` from zero, or a wide component whose variance is `gap` above the narrow one.

    `hump` in log moves, `gap` in total variance, one of them 0; both 0 is lognormal. `bend` is the curvature they were
    read from, at the at-the-forward variance `reference`, `standard_error` that of the curvature.
    """

    reference: float
    bend: float = 0.0
    standard_error: float = 0.0
    hump: float = 0.0
    gap: float = 0.0

    @classmethod
    def observed(cls, reference: float, share: float, curvature: float, standard_error: float) -> "JumpShape":
        """The posterior of a measured curvature, not measured if its standard error is 0, and of the prior.

        `share` is the jump's of the variance, in (0, 1].
        """
        precision = standard_error**-2.0 if standard_error > 0 else 0.0
        total = precision + (PRIOR_SD * share**2) ** -2.0
        return cls.bent(reference, precision * curvature / total, total**-0.5)

    @classmethod
    def bent(cls, reference: float, bend: float, standard_error: float) -> "JumpShape":
        """The mixture whose smile has that curvature where its at-the-forward variance is `reference`."""
        bend = min(max(bend, LEAST_BEND), MOST_BEND)
        if bend < -STRAIGHT:
            share = _share_of_humps(1 + 2 * bend)
            return cls(reference, bend, standard_error, hump=sqrt(share * reference / _two_humps(share)[0]))
        if bend > STRAIGHT:
            share = _share_of_tails(1 + 2 * bend)
            return cls(reference, bend, standard_error, gap=share / WIDE_WEIGHT * reference / _fat_tails(share)[0])
        return cls(reference, 0.0, standard_error)

    def moved(self, errors: float) -> "JumpShape":
        """The jump whose bend is that many standard errors away."""
        return JumpShape.bent(self.reference, self.bend + errors * self.standard_error, self.standard_error)

    @property
    def least_total(self) -> float:
        """The total variance that the mixture has without any width of its own."""
        return max(self.hump**2, WIDE_WEIGHT * self.gap)

    def at_the_forward(self, total: float) -> tuple[float, float]:
        """At-the-forward variance that options show of a true total variance, and how much of each unit added to it."""
        if self.hump > 0:
            shown, density = _two_humps(min(self.hump**2 / total, 0.9999))
            return total * shown, density
        if self.gap > 0:
            shown, density = _fat_tails(min(WIDE_WEIGHT * self.gap / total, 0.9999))
            return total * shown, density
        return total, 1.0

    def total(self, at_the_forward: float) -> tuple[float, float]:
        """The inverse: true total variance, and ∂total/∂at-the-forward; Newton from the side where it is monotone."""
        if self.hump == 0 and self.gap == 0:
            return at_the_forward, 1.0
        low, high = self.least_total, max(self.least_total, at_the_forward) * 4
        total = max(at_the_forward, low)
        for _ in range(_BISECTIONS):
            shown, growth = self.at_the_forward(total)
            growth = max(growth, LEAST_GROWTH)
            low, high = (total, high) if shown < at_the_forward else (low, total)
            step = total + (at_the_forward - shown) / growth
            if abs(step - total) <= 1e-12 * total:
                break
            total = step if low < step < high else 0.5 * (low + high)
        return total, 1 / growth

    def total_of(self, at_the_forward: float, reports: int) -> float:
        """True total variance behind so many jumps of this shape, independent of one another.

        Fourth cumulants add, and to first order it is they that part true from at-the-forward variance; exact for none
        and one.
        """
        return at_the_forward + reports * (self.total(at_the_forward)[0] - at_the_forward)


def _two_humps(share: float) -> tuple[float, float]:
    """Of total variance 1 with that share between the humps: (π/2)(E|Y|)² and ∂ of it in added variance."""
    hump, width = sqrt(share), sqrt(1 - share)
    tail = exp(-0.5 * share / (1 - share))
    mean = width * sqrt(2 / pi) * tail + hump * erf(hump / width * sqrt(0.5))
    return 0.5 * pi * mean * mean, pi * mean * tail / (width * sqrt(2 * pi))


def _fat_tails(share: float) -> tuple[float, float]:
    """The same for two centred components, the wide one having `share` over its weight more variance."""
    narrow = sqrt(1 - share)
    wide = sqrt(1 - share + share / WIDE_WEIGHT)
    mean = sqrt(2 / pi) * ((1 - WIDE_WEIGHT) * narrow + WIDE_WEIGHT * wide)
    density = ((1 - WIDE_WEIGHT) / narrow + WIDE_WEIGHT / wide) / sqrt(2 * pi)
    return 0.5 * pi * mean * mean, pi * mean * density


def _share_of_humps(density: float) -> float:
    """The share between the humps for which variance added shows by `density`, in [0.1, 1).

    With u = hump/width that is e^{−u²} + √(π/2)·u·e^{−u²/2}·erf(u/√2) = 1 − u⁴/6 + …; its logarithm is concave, so that
    Newton's steps come down to the solution after the first.
    """
    ratio = sqrt(sqrt(6 * (1 - density)))
    for _ in range(_NEWTON_STEPS):
        tail = exp(-0.5 * ratio * ratio)
        middle = sqrt(0.5 * pi) * tail * erf(ratio * sqrt(0.5))
        value = tail * tail + ratio * middle
        slope = (1 - ratio * ratio) * middle - ratio * tail * tail
        ratio -= log(value / density) * value / slope
    return ratio * ratio / (1 + ratio * ratio)


def _share_of_tails(density: float) -> float:
    """The same for two widths of ratio r and weights p and 1 − p: 1 + p(1 − p)·(r + 1/r − 2); `density` >= 1."""
    mean = 1 + 0.5 * (density - 1) / (WIDE_WEIGHT * (1 - WIDE_WEIGHT))
    ratio = mean + sqrt(mean * mean - 1)
    gap = WIDE_WEIGHT * (ratio * ratio - 1)
    return gap / (1 + gap)
