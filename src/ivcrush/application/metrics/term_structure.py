"""At-the-money volatility by expiration, with the event and without it, and what remains of it the morning after.

Reads finished smiles and a finished event move; fits no event variance of its own.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ivcrush.application.metrics.jump_shape import JumpShape
from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.domain.analysis import ImpliedMove, TermPoint, TermStructure
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.types import Ticker


def measure_term_structure(
    ticker: Ticker, surfaces: Sequence[ExpirationSurface], implied: ImpliedMove, shape: JumpShape
) -> Result[TermStructure]:
    """ATM and ex-earnings volatilities, percent a year of 365 days, one point a surface, rising by expiration.

    With w the true total variance that `shape` reads from the options at the money, T years and n reports before the
    expiration, ex-earnings volatility is √((w − n·σ_jump²)/T); None where options leave nothing beside the jump.
    `slope` is d ln IV / d ln T (least squares) and `backwardation` whether the first volatility exceeds the last,
    over the expirations that hold the report where there are two or more, else over all: an expiration before the
    report is no part of the decline after it. `expected_iv_crush_pct` is the fall of the event expiration's IV to its
    ex-earnings volatility (where that is None, to the ambient volatility), in percent of the IV; below zero where the
    options price no event. A forward volatility √((w₂ − w₁)/(T₂ − T₁)) is None where the variance between two
    expirations is negative. Errors: NODATA below two expirations.
    """
    ordered = sorted(surfaces, key=lambda surface: surface.expiration)
    if len(ordered) < 2:
        return err(ErrorCode.NODATA, f"{ticker}: {len(ordered)} usable expiration, 2 needed for a term structure")
    jump_variance = (implied.jump_sigma_pct / 100) ** 2
    points = tuple(_point(surface, jump_variance, shape) for surface in ordered)
    with_report = [surface for surface in ordered if surface.expiration >= implied.expiration]
    declining = with_report if len(with_report) > 1 else ordered
    return Ok(
        TermStructure(
            points=points,
            slope=_log_slope(declining),
            backwardation=declining[0].atm_iv > declining[-1].atm_iv,
            expected_iv_crush_pct=_expected_crush_pct(points, implied),
            forward_vols_pct=tuple(_forward_vol_pct(near, far) for near, far in pairwise(ordered)),
        )
    )


def _point(surface: ExpirationSurface, jump_variance: float, shape: JumpShape) -> TermPoint:
    true_variance = shape.total_of(surface.atm_variance, surface.reports_before)
    ordinary = true_variance - surface.reports_before * jump_variance
    ex_earnings = (ordinary / surface.years) ** 0.5 * 100 if ordinary > 0 else None
    return TermPoint(surface.expiration, surface.atm_iv * 100, ex_earnings)


def _log_slope(surfaces: Sequence[ExpirationSurface]) -> float:
    time = np.log([surface.years for surface in surfaces])
    volatility = np.log([surface.atm_iv for surface in surfaces])
    centred = time - time.mean()
    return float(centred @ volatility / (centred @ centred))


def _expected_crush_pct(points: Sequence[TermPoint], implied: ImpliedMove) -> float:
    event = next(point for point in points if point.expiration == implied.expiration)
    after = implied.ambient_vol_pct if event.ex_earnings_iv_pct is None else event.ex_earnings_iv_pct
    return (1 - after / event.atm_iv_pct) * 100


def _forward_vol_pct(near: ExpirationSurface, far: ExpirationSurface) -> float | None:
    variance = (far.atm_variance - near.atm_variance) / (far.years - near.years)
    return variance**0.5 * 100 if variance >= 0 else None
