"""Each expiration's smile and its at-the-forward total variance, by a robust local fit of all expirations at once.

Total standard deviations s(z) are fitted by a quadratic in z = ln(K/F)/s around the forward. Nothing here knows of
reports: what the variances mean is `event_variance.py`'s affair.
"""

from dataclasses import dataclass

import numpy as np

from ivcrush.application.metrics import black76
from ivcrush.application.metrics.hygiene import CALL, QuoteGrid, Reason
from ivcrush.domain.types import BoolArray, FloatArray, IntArray

# In-the-money options are used this close to the forward, in standard deviations; further in they only repeat the
# out-of-the-money side with a wider spread and more early exercise.
TWIN_WINDOW = 0.35
WINDOW = 1.0
WINDOW_REACH = 3.0
# No smile is known better than this share of the volatility: ticks and rounding.
LEAST_RELATIVE_ERROR = 0.002
# How steep and how bent smiles are, in units of the at-the-money level a standard deviation (squared).
SLOPE_PRIOR = 0.3
CURVATURE_PRIOR = 0.2
# What the third and fourth power may add; with them the waist of a two-humped smile is not rounded off.
HIGHER_PRIOR = 0.03
_TERMS = 5
# The normal matrix of a polynomial holds the sums of the powers i + j.
_POWERS = np.add.outer(np.arange(_TERMS), np.arange(_TERMS))
# The precision of a term that is not to move.
_HELD = 1e8
NEAR = 1.0
TUKEY = 4.685
_L1_STEPS, _TUKEY_STEPS = 3, 3


@dataclass(frozen=True, slots=True, eq=False)
class SmilePoints:
    """Usable volatilities, shapes (E, 2, M): `z` ln(K/F) over the rough standard deviation, `stdev`, its standard
    error, and which entries are `used`; unused entries hold 0, 1 and 1."""

    z: FloatArray
    stdev: FloatArray
    stdev_se: FloatArray
    used: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class SmileFit:
    """The fit at the forward, shapes (E,): `stdev` s(0), its standard error, `slope` and `curvature` of s(z)/s(0) = 1 +
    slope·z + curvature·z² with z in standard deviations, the curvature's standard error, how many strikes went in, how
    many of them within one standard deviation, and which quotes the fit did not believe."""

    stdev: FloatArray
    stdev_se: FloatArray
    slope: FloatArray
    curvature: FloatArray
    curvature_se: FloatArray
    strikes: FloatArray
    near_strikes: FloatArray
    one_sided: BoolArray
    outliers: BoolArray


def smile_points(
    grid: QuoteGrid, forward: FloatArray, discount: FloatArray, premium: FloatArray, stdev: FloatArray
) -> SmilePoints:
    """Black-76 volatilities of the out-of-the-money quotes and the near in-the-money ones.

    `premium` (E, 2, M) is taken off each price first. Quotes whose price no volatility gives are marked ARBITRAGE.
    """
    shape = grid.mid.shape
    strikes = np.broadcast_to(grid.strikes[:, None, :], shape)
    moneyness = np.log(strikes / forward[:, None, None])
    inside = np.where(np.arange(2)[None, :, None] == CALL, -moneyness, moneyness)
    wanted = grid.usable & (inside < (TWIN_WINDOW * stdev)[:, None, None])
    index = np.nonzero(wanted)
    row, right = index[0], index[1]
    price = (grid.mid[index] - premium[index]) / discount[row]
    value, valid = black76.implied_stdev(price, forward[row], strikes[index], right == CALL)
    if not valid.all():
        broken = np.zeros(shape, dtype=np.bool_)
        broken[index] = ~valid
        grid.reject(broken, Reason.ARBITRAGE)
        index = tuple(axis[valid] for axis in index)
        row, value = row[valid], value[valid]
    slope = black76.vega(forward[row], strikes[index], value)
    error = np.hypot(grid.mid_se[index] / discount[row] / slope, LEAST_RELATIVE_ERROR * value)
    points = SmilePoints(np.zeros(shape), np.ones(shape), np.ones(shape), np.zeros(shape, dtype=np.bool_))
    points.z[index] = moneyness[index] / stdev[row]
    points.stdev[index], points.stdev_se[index], points.used[index] = value, error, True
    return points


def fit_smiles(points: SmilePoints, stdev: FloatArray) -> SmileFit:
    """Local polynomial of s against z, weighted by standard error and a Gaussian window, L1 first, then Tukey's.

    `stdev` (E,) is the scale of z. Fewer than five strikes give a line, fewer than two a level: the priors on slope and
    curvature hold what the strikes cannot say. Rows without a point come out as 0.
    """
    window = _Window.around_the_forward(points, stdev)
    strikes = points.used.any(axis=1)
    strike_count = strikes.sum(axis=1)
    stiff, loose = _ridge(strike_count, loose=False), _ridge(strike_count, loose=True)
    robust = np.ones_like(window.z)
    for step in range(_L1_STEPS):
        beta, _ = window.solve(robust, stiff)
        size = window.misfit(beta)
        robust = 1 / np.maximum(size, 0.3) if step < _L1_STEPS - 1 else _biweight(size, window.scale(size))
    for _ in range(_TUKEY_STEPS):
        beta, inverse = window.solve(robust, loose)
        size = window.misfit(beta)
        scale = window.scale(size)
        robust = _biweight(size, scale)
    level = np.where(strike_count > 0, np.maximum(beta[:, 0], 0.0), 0.0)
    error = window.standard_errors(robust * scale, inverse)
    outliers = np.zeros(points.used.shape, dtype=np.bool_)
    window.unpack(robust == 0, outliers)
    # z is in units of `stdev`; slope and curvature are asked for in units of the level itself.
    unit = np.maximum(level, 1e-300)
    return SmileFit(
        level * stdev,
        error[:, 0] * stdev,
        beta[:, 1],
        beta[:, 2] * unit,
        error[:, 2] * unit,
        strike_count.astype(np.float64),
        (strikes & (np.abs(points.z).max(axis=1) < NEAR)).sum(axis=1).astype(np.float64),
        window.one_sided(),
        outliers,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """The points near the forward packed to the left, shapes (E, P); values and precisions in units of the rough stdev.

    `powers` (E, 14, P) holds z⁰ to z⁸ and the values times z⁰ to z⁴: their weighted sums are all that a fit needs.
    `kernel` is the weight of each point by distance and `precision` one over its standard error, both 0 where packed
    empty. `position` says where in the flattened grid each point came from, `middle` (2, E) where among P sorted
    misfits of a row the median lies.
    """

    z: FloatArray
    value: FloatArray
    precision: FloatArray
    kernel: FloatArray
    used: BoolArray
    powers: FloatArray
    position: IntArray
    middle: IntArray

    @classmethod
    def around_the_forward(cls, points: SmilePoints, stdev: FloatArray) -> "_Window":
        """All points within the window's reach, and always the nearest one."""
        count = len(stdev)
        flat_z, used = points.z.reshape(count, -1), points.used.reshape(count, -1)
        distance = np.where(used, np.abs(flat_z), np.inf)
        nearest = np.minimum(distance.min(axis=1, initial=np.inf), 1e3)[:, None]
        used = distance <= np.maximum(nearest, WINDOW_REACH)
        filled = used.sum(axis=1)
        size = max(1, int(filled.max()))
        position = np.argsort(~used, axis=1, kind="stable")[:, :size]
        rows = np.arange(count)[:, None]
        z, packed = flat_z[rows, position], used[rows, position]
        value = points.stdev.reshape(count, -1)[rows, position] / stdev[:, None]
        precision = np.where(packed, stdev[:, None] / points.stdev_se.reshape(count, -1)[rows, position], 0.0)
        kernel = np.where(packed, np.exp(-0.5 * np.maximum(z * z - nearest * nearest, 0.0) / WINDOW**2), 0.0)
        powers = np.empty((count, 3 * _TERMS - 1, size))
        powers[:, 0] = 1.0
        for power in range(1, 2 * _TERMS - 1):
            np.multiply(powers[:, power - 1], z, out=powers[:, power])
        np.multiply(powers[:, :_TERMS], value[:, None, :], out=powers[:, 2 * _TERMS - 1 :])
        middle = size - filled + np.array((np.maximum(filled - 1, 0) // 2, filled // 2))
        return cls(z, value, precision, kernel, packed, powers, position, np.minimum(middle, size - 1))

    def solve(self, robust: FloatArray, ridge: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients (E, 5) of the weighted fit and the inverse of its normal matrix."""
        weight = self.kernel * robust * self.precision**2
        sums = (self.powers @ weight[:, :, None])[:, :, 0]
        inverse: FloatArray = np.linalg.inv(sums[:, _POWERS] + ridge).astype(np.float64, copy=False)
        return (inverse @ sums[:, 2 * _TERMS - 1 :, None])[:, :, 0], inverse

    def misfit(self, beta: FloatArray) -> FloatArray:
        """Absolute residuals in standard errors, 0 for empty entries."""
        fitted = (beta[:, None, :] @ self.powers[:, :_TERMS])[:, 0]
        size: FloatArray = np.abs(self.value - fitted) * self.precision
        return size

    def scale(self, size: FloatArray) -> FloatArray:
        """How far residuals exceed their standard errors, by their median; at least 1, shape (E, 1)."""
        middle = np.sort(size, axis=1)[np.arange(len(size)), self.middle]
        scale: FloatArray = np.maximum(1.0, 1.4826 * 0.5 * (middle[0] + middle[1]))[:, None]
        return scale

    def standard_errors(self, weight: FloatArray, inverse: FloatArray) -> FloatArray:
        """Of the coefficients (E, 5), by the sandwich; `weight` holds robustness times scale."""
        square = (self.kernel * weight * self.precision) ** 2
        spread = (self.powers[:, : 2 * _TERMS - 1] @ square[:, :, None])[:, :, 0][:, _POWERS]
        covariance = inverse @ spread @ inverse
        return np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))

    def one_sided(self) -> BoolArray:
        """Whether all strikes lie on one side of the forward, shape (E,)."""
        above, below = np.any(self.used & (self.z >= 0), axis=1), np.any(self.used & (self.z <= 0), axis=1)
        one_sided: BoolArray = np.logical_not(above & below)
        return one_sided

    def unpack(self, marks: BoolArray, grid: BoolArray) -> None:
        """Write marks of packed points into a grid (E, 2, M)."""
        np.put_along_axis(grid.reshape(len(grid), -1), self.position, marks & self.used, axis=1)


def _biweight(size: FloatArray, scale: FloatArray) -> FloatArray:
    """Tukey's weights: 1 at no misfit, 0 from 4.685 scales on."""
    return np.maximum(0.0, 1 - (size / (TUKEY * scale)) ** 2) ** 2


def _ridge(strike_count: IntArray, *, loose: bool) -> FloatArray:
    """Prior precisions of the terms; those of third and fourth order only where `loose` and with nine strikes."""
    ridge = np.zeros((len(strike_count), _TERMS, _TERMS))
    ridge[:, 0, 0] = np.where(strike_count > 0, 0.0, 1.0)
    ridge[:, 1, 1] = np.where(strike_count < 2, _HELD, SLOPE_PRIOR**-2)
    ridge[:, 2, 2] = np.where(strike_count < 5, _HELD, CURVATURE_PRIOR**-2)
    ridge[:, 3, 3] = ridge[:, 4, 4] = np.where(loose & (strike_count >= 9), HIGHER_PRIOR**-2, _HELD)
    return ridge
