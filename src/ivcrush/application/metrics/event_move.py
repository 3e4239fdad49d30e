"""From cleaned expirations to the reaction session's expected move, with everything that makes it uncertain.

The fit of `event_variance.py` on three clocks and three jump shapes: the middle one is the answer, the others say how
much the choice of a model matters. Dates and flags are `implied_move.py`'s affair.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ivcrush.application.metrics import black76
from ivcrush.application.metrics.event_variance import (
    LEVEL_SD,
    LEVEL_SD_FROM_OPTIONS,
    MISFIT_ERRORS,
    AmbientPrior,
    EventFit,
    TermVariances,
    fit_events,
    monotone_rows,
    two_expiration_variances,
)
from ivcrush.application.metrics.jump_shape import JumpShape
from ivcrush.application.metrics.quantiles import NORMAL_95
from ivcrush.application.metrics.session_clock import (
    CLOSED_DAY_WEIGHT,
    CONTESTED_CLOSED_DAY_WEIGHTS,
    SessionClock,
    variance_days_per_year,
)
from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.types import FloatArray

# Implied variance of ordinary days runs this much above realised: the ordinary variance premium.
IMPLIED_OVER_REALISED = 1.05
# Neither contested clock is likely: the half-distance to the further one is taken as one standard error.
CLOCK_ERROR_SHARE = 0.2
LEAST_AMBIENT_SHARE = 0.05
# Smiles of ordinary days, in the units of `ExpirationSurface.curvature`.
ORDINARY_CURVATURE, ORDINARY_CURVATURE_SD = 0.025, 0.025
# Smile shapes beyond the fit: no move is known better than this share of it.
LEAST_RELATIVE_ERROR = 0.002
# Many mixtures have one curvature: this share of what the chosen one changes is uncertain.
FAMILY_ERROR_SHARE = 0.3
# The ambient prior is wide on purpose, so that steep term structures are followed; against known truth its posterior
# overstates errors, and this makes 90 % intervals hold about 90 % of truths (`make accuracy`).
CALIBRATION = 0.3
# Between two humps a straddle hardly sees variance; the inverse is not believed beyond this.
MOST_ERROR_GROWTH = 5.0
# The clock of the answer, again for the bent shape, and those that other studies would set.
_CLOCKS = (CLOSED_DAY_WEIGHT, CLOSED_DAY_WEIGHT, *CONTESTED_CLOSED_DAY_WEIGHTS)


@dataclass(frozen=True, slots=True)
class EventMove:
    """The reaction session in fractions: expected absolute move with its standard error and 90 % interval.

    `event_sigma` and `jump_sigma` are standard deviations of log moves, session and jump; `ambient_vol` a year of 252
    sessions. `jump_variance` and `jump_se` are true variance, `shape` what at-the-forward options show of it;
    `worst_misfit` in standard errors.
    """

    move: float
    standard_error: float
    interval_90: tuple[float, float]
    event_sigma: float
    jump_sigma: float
    ambient_vol: float
    jump_variance: float
    jump_se: float
    worst_misfit: float
    shape: JumpShape


def estimate_event_move(
    surfaces: Sequence[ExpirationSurface], event: ExpirationSurface, clock: SessionClock, realised: float | None
) -> Result[EventMove]:
    """The move over the session between the last two closes of `clock`, whose first ones are the surfaces' expirations.

    `realised` is the annual volatility of ordinary days, None if unknown. Errors: NODATA without an ambient prior, or
    where the options hold no variance for the event.
    """
    lognormal = JumpShape(event.atm_variance)
    plain = _true_variances(surfaces, lognormal)
    times = np.array([clock.variance_time(weight) / variance_days_per_year(weight) for weight in _CLOCKS])
    ordinary = ambient_prior(plain, times[0, :-2], realised)
    if ordinary is None:
        return err(ErrorCode.NODATA, "one expiration and no volatility of ordinary days: one of two is needed")
    prior = AmbientPrior.on_clocks(times, *ordinary)
    (first,) = fit_events((plain,), prior.first())
    shape = _jump_shape(surfaces, event, first)
    bent = shape.moved(1.0)
    terms = _true_variances(surfaces, shape)
    rows = monotone_rows(terms, prior)
    terms, otherwise = terms.only(rows), _true_variances(surfaces, bent).only(rows)
    fit, fit_bent, *contested = fit_events((terms, otherwise, terms, terms), prior.only(rows))
    if fit.jump_variance <= 0 or fit.day_variance <= 0:
        return err(
            ErrorCode.NODATA,
            f"the options hold no variance for the report ({fit.jump_variance:.1e} ± {fit.jump_se:.1e})",
        )
    others = _Alternatives(
        plain=_move(first, lognormal),
        bent=_move(fit_bent, bent),
        clocks=tuple(_move(each, shape) for each in contested),
    )
    return Ok(_summary(event, replace(fit, worst_misfit=max(first.worst_misfit, fit.worst_misfit)), shape, others))


def ambient_prior(terms: TermVariances, time: FloatArray, realised: float | None) -> tuple[float, float] | None:
    """Mean ambient variance a year and its relative standard deviation; None where nothing tells it from the event.

    From realised volatility, else from the first and last expiration after the event, else from the last one before.
    `time` (E,) is the variance time to each expiration in years.
    """
    if realised is not None:
        return IMPLIED_OVER_REALISED * realised**2, LEVEL_SD
    after, before = np.flatnonzero(terms.reports > 0), np.flatnonzero(terms.reports == 0)
    variance = terms.variance
    if len(after) >= 2:
        first, last = int(after[0]), int(after[-1])
        _, rate = two_expiration_variances(
            float(variance[first]), float(time[first]), float(variance[last]), float(time[last])
        )
        return max(rate, LEAST_AMBIENT_SHARE * float(variance[first] / time[first])), LEVEL_SD_FROM_OPTIONS
    if len(before):
        return float(variance[before[-1]] / time[before[-1]]), LEVEL_SD_FROM_OPTIONS
    return None


@dataclass(frozen=True, slots=True)
class _Alternatives:
    """The move by other models: a lognormal jump, one bent by a standard error more, other weights of closed days."""

    plain: float
    bent: float
    clocks: tuple[float, ...]


def _summary(event: ExpirationSurface, fit: EventFit, shape: JumpShape, others: _Alternatives) -> EventMove:
    """The middle fit with statistical, clock and shape errors added in squares."""
    move = _move(fit, shape)
    spread = max(1.0, fit.worst_misfit / MISFIT_ERRORS)
    prior_se = max(fit.day_se**2 - fit.day_quote_se**2, 0.0) ** 0.5
    day_se = spread * float(np.hypot(fit.day_quote_se, CALIBRATION * prior_se))
    statistical = move - _move_at(fit.day_variance - day_se, shape)
    family = FAMILY_ERROR_SHARE * abs(move - others.plain)
    clock = CLOCK_ERROR_SHARE * max(abs(each - move) for each in others.clocks)
    model = abs(others.bent - move)
    least = LEAST_RELATIVE_ERROR * move
    error = float(np.sqrt(statistical**2 + clock**2 + model**2 + family**2 + least**2))
    return EventMove(
        move=move,
        standard_error=error,
        interval_90=_interval(move, error, fit, event),
        event_sigma=max(fit.day_variance, shape.least_total) ** 0.5,
        jump_sigma=fit.jump_variance**0.5,
        ambient_vol=max(fit.ambient_rate, 0.0) ** 0.5,
        jump_variance=fit.jump_variance,
        jump_se=fit.jump_se,
        worst_misfit=fit.worst_misfit,
        shape=shape,
    )


def _interval(move: float, error: float, fit: EventFit, event: ExpirationSurface) -> tuple[float, float]:
    """90 % of the move, symmetric in variance; between an ordinary session and all of the expiration's variance."""
    reach = NORMAL_95 * 2 * error / move
    least = black76.straddle_fraction(max(fit.day_variance - fit.jump_variance, 0.0) ** 0.5)
    most = black76.straddle_fraction((event.atm_variance + NORMAL_95 * event.atm_variance_se) ** 0.5)
    high = min(move * (1 + reach) ** 0.5, max(most, move))
    return max(move * max(1 - reach, 0.0) ** 0.5, min(least, move)), high


def _move(fit: EventFit, shape: JumpShape) -> float:
    return _move_at(fit.day_variance, shape)


def _move_at(day_variance: float, shape: JumpShape) -> float:
    """E|e^Y − 1| over the session whose true total variance is given."""
    shown, _ = shape.at_the_forward(max(day_variance, 1.0001 * shape.least_total, 1e-12))
    return black76.straddle_fraction(shown**0.5)


def _true_variances(surfaces: Sequence[ExpirationSurface], shape: JumpShape) -> TermVariances:
    """True total variances, which add."""
    reports = np.array([each.reports_before for each in surfaces])
    error = np.array([each.atm_variance_se for each in surfaces])
    totals = np.array(
        [shape.total(each.atm_variance) if each.reports_before else (each.atm_variance, 1.0) for each in surfaces]
    )
    return TermVariances(totals[:, 0], error * np.minimum(totals[:, 1], MOST_ERROR_GROWTH), reports)


def _jump_shape(surfaces: Sequence[ExpirationSurface], event: ExpirationSurface, fit: EventFit) -> JumpShape:
    """The event smile's curvature less what ordinary days bring to it.

    Curvatures b₁ = β + b_a·q₁² of the event's and b_r = β·(w₁/w_r)² + b_a·q_r² of the most ordinary expiration are
    solved for the jump's β; q is the share of ordinary variance. Where no expiration is more ordinary than the event's,
    ordinary smiles are taken to be as curved as most are.
    """
    share = min(max(fit.jump_variance / event.atm_variance, LEAST_AMBIENT_SHARE), 1.0)
    if event.curvature_se <= 0:
        return JumpShape.observed(event.atm_variance, share, 0.0, 0.0)
    curvature, error, passed_on = ORDINARY_CURVATURE, ORDINARY_CURVATURE_SD, 0.0
    for each in surfaces:
        jump = fit.jump_variance * each.reports_before
        ordinary = 1 - max(jump / each.atm_variance, 0.0)
        if each.curvature_se <= 0 or ordinary < 0.5 or ordinary <= 1.5 * (1 - share):
            continue
        passed = (event.atm_variance / each.atm_variance * jump / fit.jump_variance) ** 2 if jump > 0 else 0.0
        if each.curvature_se / ordinary**2 < error:
            curvature, error = each.curvature / ordinary**2, each.curvature_se / ordinary**2
            passed_on = passed / ordinary**2
    diluted = (1 - share) ** 2
    scale = 1 - passed_on * diluted
    bend = (event.curvature - curvature * diluted) / scale
    return JumpShape.observed(
        event.atm_variance, share, bend, float(np.hypot(event.curvature_se, error * diluted)) / scale
    )
