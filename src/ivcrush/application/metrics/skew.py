"""The shape of the event's smile from its own implied volatilities: skew, curvature, and whether it is concave.

Compares calls and puts of equal delta, never a put and a call of one strike (that difference is the forward, not skew).
"""

from dataclasses import dataclass

import numpy as np

from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.domain.analysis import Skew
from ivcrush.domain.enums import SkewDirection
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.types import FloatArray, Ticker

MIN_POINTS = 5
WIDEST_Z = 2.5  # ATM standard deviations; farther out a quadratic is no smile and quotes are mostly spread
CONCAVITY_Z = 1.5
# 25-delta risk reversal over ATM volatility. Puts of single stocks are ordinarily dearer by some 5 %; within as much
# again of that, calls and puts are as usual. House judgement, not a published figure.
NORMAL_RISK_REVERSAL = -0.05
NEUTRAL_BAND = 0.05
_D1_25 = 0.6744897501960817  # Φ⁻¹(0.75)
_STEPS = 16


@dataclass(frozen=True, slots=True)
class QuadraticSmile:
    """s(z) = level·(1 + slope·z + curvature·z²): total standard deviation over z = ln(K/F)/(ATM standard deviation).

    Standard errors are scaled up by the misfit where that exceeds the quotes' own noise. `lowest`/`highest` bound z
    where the curve is read: nothing is read outside what was quoted. `least`/`most`, half the lowest and twice the
    highest quoted s, keep a wild fit positive and finite.
    """

    level: float
    slope: float
    curvature: float
    slope_se: float
    curvature_se: float
    points: int
    lowest: float
    highest: float
    least: float
    most: float

    def stdev(self, z: float) -> float:
        """Total standard deviation at z, inside the quoted range."""
        inside = min(max(z, self.lowest), self.highest)
        fitted = self.level * (1 + self.slope * inside + self.curvature * inside**2)
        return min(max(fitted, self.least), self.most)


def measure_skew(ticker: Ticker, surface: ExpirationSurface) -> Result[Skew]:
    """Risk reversal, butterfly, slope, curvature and direction of one expiration's smile.

    Deltas are forward and unadjusted: Φ(d1) for the call, d1 = −k/s + s/2. Volatilities are read off a quadratic in z,
    fitted to out-of-the-money quotes within 2.5 standard deviations, weighted by 1/se²; in percent points a year of 365
    days. `concave`: curvature below zero by more than two standard errors in a fit of its own to five or more strikes
    within 1.5 standard deviations, the mark of a two-sided event. Errors: NODATA below five quotes, or one side only.
    """
    smile = _fit(surface, WIDEST_Z)
    if smile is None:
        return err(
            ErrorCode.NODATA,
            f"{ticker}: {len(surface.strikes)} usable quotes in {surface.expiration}, {MIN_POINTS} out of the money on "
            "both sides of the forward are needed for a skew",
        )
    atm = smile.stdev(0.0)
    call, put = (_stdev_at_25_delta(smile, atm, side) for side in (_D1_25, -_D1_25))
    to_pct = 100 / surface.years**0.5
    return Ok(
        Skew(
            risk_reversal_25d_pct=(call - put) * to_pct,
            butterfly_25d_pct=((call + put) / 2 - atm) * to_pct,
            atm_iv_pct=atm * to_pct,
            slope=smile.slope,
            curvature=smile.curvature,
            direction=_direction((call - put) / atm, 2 * _D1_25 * smile.slope_se),
            concave=_is_concave(surface),
            points=smile.points,
        )
    )


def _is_concave(surface: ExpirationSurface) -> bool:
    near = _fit(surface, CONCAVITY_Z)
    return near is not None and near.curvature < -2 * near.curvature_se


def _fit(surface: ExpirationSurface, widest_z: float) -> QuadraticSmile | None:
    """Weighted least squares over the out-of-the-money quotes within `widest_z`; None without enough on both sides."""
    z = surface.log_moneyness / surface.atm_variance**0.5
    used = (surface.is_call == (z >= 0)) & (np.abs(z) <= widest_z)
    z, stdev, se = z[used], surface.total_stdev[used], surface.stdev_se[used]
    if len(z) < MIN_POINTS or not z[0] < 0 < z[-1]:
        return None
    coefficients, errors = _weighted_least_squares(np.stack((np.ones_like(z), z, z * z)), stdev, se)
    least, most = float(stdev.min()) / 2, float(stdev.max()) * 2
    level = min(max(coefficients[0], least), most)
    return QuadraticSmile(
        level=level,
        slope=coefficients[1] / level,
        curvature=coefficients[2] / level,
        slope_se=errors[1] / level,
        curvature_se=errors[2] / level,
        points=len(z),
        lowest=float(z[0]),
        highest=float(z[-1]),
        least=least,
        most=most,
    )


def _weighted_least_squares(terms: FloatArray, values: FloatArray, se: FloatArray) -> tuple[list[float], list[float]]:
    """Coefficients of the terms, shape (3, m), and their errors, which grow where residuals exceed the stated noise."""
    scaled, target = terms / se, values / se
    covariance = np.linalg.inv(scaled @ scaled.T)
    coefficients = covariance @ (scaled @ target)
    residuals = target - coefficients @ scaled
    misfit = float(residuals @ residuals) / (len(values) - len(terms))
    errors = np.sqrt(covariance.diagonal() * max(1.0, misfit))
    return coefficients.tolist(), errors.tolist()


def _stdev_at_25_delta(smile: QuadraticSmile, atm: float, d1_distance: float) -> float:
    """s where ln(K/F) = s·(±0.6745 + s/2), by fixed point: a step leaves 0.7 of the error times the slope."""
    stdev = atm
    for _ in range(_STEPS):
        stdev = smile.stdev(stdev * (d1_distance + stdev / 2) / atm)
    return stdev


def _direction(relative_risk_reversal: float, se: float) -> SkewDirection:
    """Calls dearer than usual is bullish, puts dearer than usual bearish, by more than the band and two errors."""
    deviation = relative_risk_reversal - NORMAL_RISK_REVERSAL
    if abs(deviation) <= max(NEUTRAL_BAND, 2 * se):
        return SkewDirection.NEUTRAL
    return SkewDirection.BULLISH if deviation > 0 else SkewDirection.BEARISH
