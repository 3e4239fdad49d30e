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
    strike_count = np.count_nonzero(strikes, axis=1)
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
        np.count_nonzero(strikes & (np.abs(points.z).max(axis=1) < NEAR), axis=1).astype(np.float64),
        window.one_sided(),
        outliers,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """The points near the forward packed to the left, shapes (E, P); values and errors in units of the rough stdev.

    `basis` (E, P, 5) holds the powers of z, `kernel` the weight of each point before robustness, 0 where packed empty.
    `position` says where in the flattened grid each point came from.
    """

    z: FloatArray
    value: FloatArray
    error: FloatArray
    kernel: FloatArray
    used: BoolArray
    basis: FloatArray
    position: IntArray

    @classmethod
    def around_the_forward(cls, points: SmilePoints, stdev: FloatArray) -> "_Window":
        """All points within the window's reach, and always the nearest one."""
        count = len(stdev)
        flat_z, used = points.z.reshape(count, -1), points.used.reshape(count, -1)
        distance = np.where(used, np.abs(flat_z), np.inf)
        nearest = np.minimum(distance.min(axis=1, initial=np.inf), 1e3)[:, None]
        used = distance <= np.maximum(nearest, WINDOW_REACH)
        size = max(1, int(np.count_nonzero(used, axis=1).max()))
        position = np.argsort(~used, axis=1, kind="stable")[:, :size]
        z, value, error = (
            np.take_along_axis(field.reshape(count, -1), position, axis=1)
            for field in (points.z, points.stdev, points.stdev_se)
        )
        packed = np.take_along_axis(used, position, axis=1)
        error = error / stdev[:, None]
        kernel = np.where(packed, np.exp(-0.5 * np.maximum(z * z - nearest * nearest, 0.0) / WINDOW**2), 0.0) / (
            error * error
        )
        basis = np.stack((np.ones_like(z), z, z * z, z**3, z**4), axis=2)
        return cls(z, value / stdev[:, None], error, kernel, packed, basis, position)

    def solve(self, robust: FloatArray, ridge: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients (E, 5) of the weighted fit and the inverse of its normal matrix."""
        weighted = (self.basis * (self.kernel * robust)[:, :, None]).transpose(0, 2, 1)
        inverse: FloatArray = np.linalg.inv(weighted @ self.basis + ridge).astype(np.float64, copy=False)
        return (inverse @ (weighted @ self.value[:, :, None]))[:, :, 0], inverse

    def misfit(self, beta: FloatArray) -> FloatArray:
        """Absolute residuals in standard errors, 0 for empty entries."""
        residual = self.value - (self.basis @ beta[:, :, None])[:, :, 0]
        return np.where(self.used, np.abs(residual) / self.error, 0.0)

    def scale(self, size: FloatArray) -> FloatArray:
        """How far residuals exceed their standard errors, by their median; at least 1, shape (E, 1)."""
        return np.maximum(1.0, 1.4826 * _masked_median(size, self.used))[:, None]

    def standard_errors(self, weight: FloatArray, inverse: FloatArray) -> FloatArray:
        """Of the coefficients (E, 5), by the sandwich; `weight` holds robustness times scale."""
        spread = (self.basis * ((self.kernel * weight * self.error) ** 2)[:, :, None]).transpose(0, 2, 1) @ self.basis
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


def _masked_median(values: FloatArray, used: BoolArray) -> FloatArray:
    """Row-wise median of the used entries, 0 without any, shape (E,)."""
    ordered = np.sort(np.where(used, values, np.inf), axis=1)
    count = np.count_nonzero(used, axis=1)
    rows = np.arange(len(values))
    lower = ordered[rows, np.maximum(count - 1, 0) // 2]
    upper = ordered[rows, np.minimum(count // 2, values.shape[1] - 1)]
    return np.where(count > 0, 0.5 * (lower + upper), 0.0)
