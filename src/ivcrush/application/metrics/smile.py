"""Each expiration's smile and its at-the-forward total variance, by a robust local fit of all expirations at once.

Total standard deviations s(z) are fitted by a quadratic in z = ln(K/F)/s around the forward. Nothing here knows of
reports: what the variances mean is `event_variance.py`'s affair.
"""

from dataclasses import dataclass

import numpy as np

from ivcrush.application.metrics import black76
from ivcrush.application.metrics.hygiene import CALL, QuoteGrid, Reason
from ivcrush.domain.types import BoolArray, FloatArray

# In-the-money options are used this close to the forward, in standard deviations; further in they only repeat the
# out-of-the-money side with a wider spread and more early exercise.
TWIN_WINDOW = 0.35
WINDOW = 0.9
# No smile is known better than this share of the volatility: ticks and rounding.
LEAST_RELATIVE_ERROR = 0.002
# How steep and how bent smiles are, in units of the at-the-money level a standard deviation (squared).
SLOPE_PRIOR = 0.3
CURVATURE_PRIOR = 0.2
TUKEY = 4.685
_L1_STEPS, _TUKEY_STEPS = 4, 4


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
    """Local quadratic of s against z, weighted by standard error and a Gaussian window, L1 first, then Tukey's.

    `stdev` (E,) is the scale of z. Fewer than five strikes give a line, fewer than two a level: the priors on slope and
    curvature hold what the strikes cannot say. Rows without a point come out as 0.
    """
    count = len(stdev)
    z, value, error = (field.reshape(count, -1) for field in (points.z, points.stdev, points.stdev_se))
    used = points.used.reshape(count, -1)
    strikes = points.used.any(axis=1)
    strike_count = np.count_nonzero(strikes, axis=1)
    basis = np.stack((np.ones_like(z), z, z * z), axis=2)
    kernel = np.where(used, np.exp(-0.5 * (z / WINDOW) ** 2), 0.0) / error**2
    ridge = _ridge(strike_count, stdev)
    robust = np.ones_like(z)
    for step in range(_L1_STEPS + _TUKEY_STEPS + 1):
        weight = kernel * robust
        normal = np.einsum("ep,epi,epj->eij", weight, basis, basis) + ridge
        moment = np.einsum("ep,epi,ep->ei", weight, basis, value)
        beta = np.linalg.solve(normal, moment[:, :, None])[:, :, 0]
        residual = (value - np.einsum("epi,ei->ep", basis, beta)) / error
        size = np.abs(residual)
        scale = np.maximum(1.0, 1.4826 * _masked_median(size, used))[:, None]
        if step < _L1_STEPS:
            robust = 1 / np.maximum(size, 0.3)
        else:
            robust = np.maximum(0.0, 1 - (size / (TUKEY * scale)) ** 2) ** 2
    inverse = np.linalg.inv(normal)
    spread = np.einsum("ep,epi,epj->eij", (weight * scale * error) ** 2, basis, basis)
    covariance = inverse @ spread @ inverse
    level = np.where(strike_count > 0, np.maximum(beta[:, 0], 0.0), 0.0)
    unit = np.maximum(level, 1e-300)
    rescale = unit / np.maximum(stdev, 1e-300)
    near = strikes & (np.abs(points.z.sum(axis=1) / np.maximum(points.used.sum(axis=1), 1)) < 1)
    above, below = np.any(used & (z >= 0), axis=1), np.any(used & (z <= 0), axis=1)
    return SmileFit(
        level,
        np.sqrt(np.maximum(covariance[:, 0, 0], 0.0)),
        beta[:, 1] / unit * rescale,
        beta[:, 2] / unit * rescale**2,
        np.sqrt(np.maximum(covariance[:, 2, 2], 0.0)) / unit * rescale**2,
        strike_count.astype(np.float64),
        np.count_nonzero(near, axis=1).astype(np.float64),
        np.logical_not(above & below),
        (used & (robust == 0)).reshape(points.used.shape),
    )


def _ridge(strike_count: FloatArray, stdev: FloatArray) -> FloatArray:
    ridge = np.zeros((len(stdev), 3, 3))
    unit = np.maximum(stdev, 1e-6)
    ridge[:, 0, 0] = np.where(strike_count > 0, 0.0, 1.0)
    ridge[:, 1, 1] = (np.where(strike_count < 2, 1e-3, SLOPE_PRIOR) * unit) ** -2.0
    ridge[:, 2, 2] = (np.where(strike_count < 5, 1e-3, CURVATURE_PRIOR) * unit) ** -2.0
    return ridge


def _masked_median(values: FloatArray, used: BoolArray) -> FloatArray:
    """Row-wise median of the used entries, 0 without any, shape (E,)."""
    ordered = np.sort(np.where(used, values, np.inf), axis=1)
    count = np.count_nonzero(used, axis=1)
    rows = np.arange(len(values))
    lower = ordered[rows, np.maximum(count - 1, 0) // 2]
    upper = ordered[rows, np.minimum(count // 2, values.shape[1] - 1)]
    return np.where(count > 0, 0.5 * (lower + upper), 0.0)
