"""From cleaned expirations to the reaction session's expected move, with everything that makes it uncertain.

The fit of `event_variance.py` on three clocks and three jump shapes: the middle one is the answer, the others say how
much the choice of a model matters. Dates and flags are `implied_move.py`'s affair.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ivcrush.application.metrics import black76
from ivcrush.application.metrics.event_variance import (
    LEVEL_SD,
    LEVEL_SD_FROM_OPTIONS,
    MISFIT_ERRORS,
    EventFit,
    TermVariances,
    fit_event,
    two_expiration_variances,
)
from ivcrush.application.metrics.jump_shape import JumpShape
from ivcrush.application.metrics.session_clock import (
    CLOSED_DAY_WEIGHT,
    CONTESTED_CLOSED_DAY_WEIGHTS,
    SessionClock,
    variance_days_per_year,
)
from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.domain.errors import ErrorCode, Ok, Result, err

# Implied variance of ordinary days runs this much above realised: the ordinary variance premium.
IMPLIED_OVER_REALISED = 1.05
# Neither contested clock is likely: the half-distance to the further one is taken as one standard error.
CLOCK_ERROR_SHARE = 0.5
LEAST_AMBIENT_SHARE = 0.05
# Between two humps a straddle hardly sees variance; the inverse is not believed beyond this.
MOST_ERROR_GROWTH = 5.0
NORMAL_90 = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class EventMove:
    """The reaction session in fractions: expected absolute move with its standard error and 90 % interval.

    `event_sigma` and `jump_sigma` are standard deviations of log moves, session and jump; `ambient_vol` a year of 252
    sessions. `jump_variance` and `jump_se` are at the forward, `worst_misfit` in standard errors.
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
    if _ambient_prior(_terms(surfaces, clock, CLOSED_DAY_WEIGHT, lognormal), realised) is None:
        return err(ErrorCode.NODATA, "one expiration and no volatility of ordinary days: one of two is needed")
    first = _fit(surfaces, clock, realised, CLOSED_DAY_WEIGHT, lognormal)
    shape = _jump_shape(surfaces, event, first)
    fit = _fit(surfaces, clock, realised, CLOSED_DAY_WEIGHT, shape)
    if fit.jump_variance <= 0 or fit.day_variance <= 0:
        return err(
            ErrorCode.NODATA,
            f"the options hold no variance for the report ({fit.jump_variance:.1e} ± {fit.jump_se:.1e})",
        )
    clocks = [_move(_fit(surfaces, clock, realised, weight, shape), shape) for weight in CONTESTED_CLOSED_DAY_WEIGHTS]
    bent = [shape.moved(errors) for errors in (-1.0, 1.0)]
    shapes = [_move(_fit(surfaces, clock, realised, CLOSED_DAY_WEIGHT, each), each) for each in bent]
    return Ok(_summary(event, fit, shape, clocks, shapes))


def _summary(
    event: ExpirationSurface, fit: EventFit, shape: JumpShape, clocks: Sequence[float], shapes: Sequence[float]
) -> EventMove:
    """The middle fit in percent, with statistical, clock and shape errors added in squares."""
    move = _move(fit, shape)
    spread = max(1.0, fit.worst_misfit / MISFIT_ERRORS)
    statistical = spread * (move - _move_at(fit.day_variance - fit.day_se, shape))
    clock = CLOCK_ERROR_SHARE * max(abs(other - move) for other in clocks)
    model = 0.5 * abs(shapes[1] - shapes[0])
    error = float(np.sqrt(statistical**2 + clock**2 + model**2))
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
    reach = NORMAL_90 * 2 * error / move
    least = black76.straddle_fraction(max(fit.day_variance - fit.jump_variance, 0.0) ** 0.5)
    most = black76.straddle_fraction((event.atm_variance + NORMAL_90 * event.atm_variance_se) ** 0.5)
    high = min(move * (1 + reach) ** 0.5, max(most, move))
    return max(move * max(1 - reach, 0.0) ** 0.5, min(least, move)), high


def _move(fit: EventFit, shape: JumpShape) -> float:
    return _move_at(fit.day_variance, shape)


def _move_at(day_variance: float, shape: JumpShape) -> float:
    """E|e^Y − 1| over the session whose true total variance is given."""
    shown, _ = shape.at_the_forward(max(day_variance, 1.0001 * shape.least_total, 1e-12))
    return black76.straddle_fraction(shown**0.5)


def _fit(
    surfaces: Sequence[ExpirationSurface], clock: SessionClock, realised: float | None, weight: float, shape: JumpShape
) -> EventFit:
    terms = _terms(surfaces, clock, weight, shape)
    prior = _ambient_prior(terms, realised)
    assert prior is not None  # whether there is one does not depend on clock or shape
    return fit_event(terms, *prior)


def _terms(
    surfaces: Sequence[ExpirationSurface], clock: SessionClock, weight: float, shape: JumpShape
) -> TermVariances:
    """True total variances, which add, and variance time in years."""
    times = clock.variance_time(weight) / variance_days_per_year(weight)
    error = np.array([each.atm_variance_se for each in surfaces])
    reports = np.array([each.reports_before for each in surfaces])
    totals = np.array(
        [shape.total(each.atm_variance) if each.reports_before else (each.atm_variance, 1.0) for each in surfaces]
    )
    return TermVariances(
        variance=totals[:, 0],
        variance_se=error * np.minimum(totals[:, 1], MOST_ERROR_GROWTH),
        time=times[:-2],
        reports=reports,
        day_start=float(times[-2]),
        day_end=float(times[-1]),
    )


def _ambient_prior(terms: TermVariances, realised: float | None) -> tuple[float, float] | None:
    """Mean ambient variance a year and its relative standard deviation; None where nothing tells it from the event."""
    if realised is not None:
        return IMPLIED_OVER_REALISED * realised**2, LEVEL_SD
    after, before = np.flatnonzero(terms.reports > 0), np.flatnonzero(terms.reports == 0)
    variance, time = terms.variance, terms.time
    if len(after) >= 2:
        first, last = int(after[0]), int(after[-1])
        _, rate = two_expiration_variances(
            float(variance[first]), float(time[first]), float(variance[last]), float(time[last])
        )
        return max(rate, LEAST_AMBIENT_SHARE * float(variance[first] / time[first])), LEVEL_SD_FROM_OPTIONS
    if len(before):
        return float(variance[before[-1]] / time[before[-1]]), LEVEL_SD_FROM_OPTIONS
    return None


def _jump_shape(surfaces: Sequence[ExpirationSurface], event: ExpirationSurface, fit: EventFit) -> JumpShape:
    """The event smile's curvature less what ordinary days bring to it.

    Curvatures b₁ = β + b_a·q₁² and b_l = β·(w₁/w_l)² + b_a·q_l² of the event's and the last expiration are solved for
    the jump's β; q is the share of ordinary variance. With one expiration the ordinary days have none.
    """
    last = surfaces[-1]
    shares = [min(max(fit.jump_variance / each.atm_variance, 0.05), 1.0) for each in (event, last)]
    own, other = (1 - share for share in shares)
    if last is event or other < 2 * own:
        return JumpShape.observed(event.atm_variance, shares[0], event.curvature, event.curvature_se)
    passed_on, shared = (event.atm_variance / last.atm_variance) ** 2, (own / other) ** 2
    scale = 1 - passed_on * shared
    bend = (event.curvature - last.curvature * shared) / scale
    error = float(np.hypot(event.curvature_se, last.curvature_se * shared)) / scale
    return JumpShape.observed(event.atm_variance, shares[0], bend, error)
