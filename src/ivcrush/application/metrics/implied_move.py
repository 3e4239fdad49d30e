"""What the options imply for the session that reacts to the report. Pure: one snapshot in, one reading out.

Straddle and event move are expected absolute moves: E|S_T/F − 1| = 4Φ(s/2) − 2 for the at-the-forward straddle of
total standard deviation s (Brenner and Subrahmanyam 1988, exact form), the event move with the reaction
session's own variance in place of s².
Without an answer there is an `Err` with the reason, never a negative or absurd number.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from ivcrush.application.metrics import black76, session_clock
from ivcrush.application.metrics.event_variance import (
    LEVEL_SD,
    LEVEL_SD_FROM_OPTIONS,
    MISFIT_ERRORS,
    TermVariances,
    fit_event,
    two_expiration_variances,
)
from ivcrush.application.metrics.session_clock import SessionClock
from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.application.metrics.surface_builder import build_surfaces
from ivcrush.domain.analysis import ImpliedMove
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import MarketSnapshot

LONGEST_DAYS = 110


@dataclass(frozen=True, slots=True, eq=False)
class ImpliedMoveReading:
    """The implied move and what it was read from, for the measures that read the same options.

    `surfaces` has one entry a usable expiration, rising; `event` is the one the move was read from. `timing` is the
    report's session as it was used, `reaction_session` the session it moves.
    """

    move: ImpliedMove
    surfaces: tuple[ExpirationSurface, ...]
    event: ExpirationSurface
    timing: Timing
    reaction_session: date


def implied_move(snapshot: MarketSnapshot) -> Result[ImpliedMoveReading]:
    """The event move of a snapshot; where the session is unknown both are computed and the wider one is the answer.

    Errors: NODATA where no expiration holds the event, no quote can be used or the options price no event; INVALID
    for an expiration that ends before the reaction session, or a report that the stock already trades on.
    """
    timing = snapshot.request.timing
    if timing is not Timing.UNKNOWN:
        return _read(snapshot, timing, ())
    readings = [_read(snapshot, each, ("session_unknown",)) for each in (Timing.BMO, Timing.AMC)]
    usable = [reading for reading in readings if isinstance(reading, Ok)]
    if not usable:
        return readings[0]
    return max(usable, key=lambda reading: reading.value.move.event_move_pct)


def _read(snapshot: MarketSnapshot, timing: Timing, flags: tuple[str, ...]) -> Result[ImpliedMoveReading]:
    """The reading for one session of the report."""
    request, calendar = snapshot.request, snapshot.calendar
    reaction = session_clock.reaction_session(request.report_date, timing, calendar)
    if session_clock.reaction_has_begun(reaction, timing, snapshot.as_of, calendar):
        return err(
            ErrorCode.INVALID,
            f"{request.ticker}: the stock already trades on the report of {request.report_date} ({timing}) "
            f"at {snapshot.as_of.isoformat()}; a report still to come is needed",
        )
    expiration = _event_expiration(snapshot, reaction)
    if isinstance(expiration, Err):
        return expiration
    spot = snapshot.quote.spot()
    if isinstance(spot, Err):
        return spot
    surfaces, excluded = _usable_surfaces(snapshot, spot.value, reaction, expiration.value)
    event = next((each for each in surfaces if each.expiration == expiration.value), None)
    if event is None:
        return err(
            ErrorCode.NODATA,
            f"{request.ticker}: no usable quote in the expiration {expiration.value} that holds the report",
        )
    flags += ("second_event_excluded",) if excluded else ()
    return _event_move(snapshot, _Setting(timing, reaction, spot.value, surfaces, event), flags)


def _event_expiration(snapshot: MarketSnapshot, reaction: date) -> Result[date]:
    request = snapshot.request
    listed = [chain.expiration for chain in snapshot.chains]
    wanted = request.expiration
    if wanted is None:
        first = session_clock.first_expiration(listed, reaction)
        if first is None:
            return err(
                ErrorCode.NODATA,
                f"{request.ticker}: no expiration trades on {reaction}, the session after the report; "
                f"the last one listed is {max(listed)}",
            )
        return Ok(first)
    if wanted < reaction:
        return err(
            ErrorCode.INVALID,
            f"{request.ticker}: expiration {wanted} ends before {reaction}, the session that reacts to the report; "
            "a later one is needed",
        )
    if wanted not in listed:
        return err(ErrorCode.NODATA, f"{request.ticker}: no chain for the expiration {wanted}")
    return Ok(wanted)


def _usable_surfaces(
    snapshot: MarketSnapshot, spot: float, reaction: date, event: date
) -> tuple[tuple[ExpirationSurface, ...], bool]:
    """The surfaces with at most one report before them, and whether others were left out for holding more."""
    last = snapshot.as_of.date() + timedelta(LONGEST_DAYS)
    listed = [chain.expiration for chain in snapshot.chains]
    counts = session_clock.reports_before(listed, snapshot.request, reaction, snapshot.calendar)
    years = session_clock.years_to_close(snapshot.as_of, listed, snapshot.calendar)
    kept = [
        (chain, count)
        for chain, count, left in zip(snapshot.chains, counts, years, strict=True)
        if left > 0 and (chain.expiration == event or (count in (0, 1) and chain.expiration <= last))
    ]
    excluded = any(count is None or count > 1 for count in counts)
    surfaces = build_surfaces(
        snapshot,
        [chain for chain, _ in kept],
        spot,
        [count or 1 if chain.expiration >= reaction else 0 for chain, count in kept],
    )
    return surfaces, excluded


@dataclass(frozen=True, slots=True)
class _Setting:
    """What the move is read from."""

    timing: Timing
    reaction: date
    spot: float
    surfaces: tuple[ExpirationSurface, ...]
    event: ExpirationSurface


def _event_move(snapshot: MarketSnapshot, setting: _Setting, flags: tuple[str, ...]) -> Result[ImpliedMoveReading]:
    """The fit on three clocks and what it means in percent."""
    surfaces, event, spot = setting.surfaces, setting.event, setting.spot
    timing, reaction = setting.timing, setting.reaction
    days = [each.expiration for each in surfaces]
    before = snapshot.calendar.previous_session(reaction)
    clock = SessionClock.to_closes(snapshot.as_of, [*days, before, reaction], snapshot.calendar)
    fits = []
    for weight in (session_clock.CLOSED_DAY_WEIGHT, *session_clock.CONTESTED_CLOSED_DAY_WEIGHTS):
        terms = _terms(surfaces, clock, weight)
        prior = _ambient_prior(snapshot, terms)
        if isinstance(prior, Err):
            return prior
        fits.append(fit_event(terms, *prior.value))
    fit = fits[0]
    if fit.jump_variance <= 0 or fit.day_variance <= 0:
        return err(
            ErrorCode.NODATA,
            f"{snapshot.request.ticker}: the options hold no extra variance for the report of "
            f"{snapshot.request.report_date} (event variance {fit.jump_variance:.2e} ± {fit.jump_se:.1e})",
        )
    sigma = fit.day_variance**0.5
    model = max(abs(other.day_variance - fit.day_variance) for other in fits[1:]) / 2
    error = float(np.hypot(fit.day_se, model)) * max(1.0, fit.worst_misfit / MISFIT_ERRORS)
    low, high = (max(fit.day_variance + side * 1.645 * error, 0.0) ** 0.5 for side in (-1, 1))
    move = 100 * black76.straddle_fraction(sigma)
    nearest = int(np.argmin(np.abs(event.strikes - event.forward)))
    annual = fit.ambient_rate / session_clock.variance_days_per_year() * session_clock.variance_days_per_year()
    more = [
        ("event_variance_not_significant", fit.jump_variance < 2 * fit.jump_se),
        ("term_structure_misfit", fit.worst_misfit > MISFIT_ERRORS),
        ("single_expiry_uses_prior_ambient", len(surfaces) == 1),
    ]
    return Ok(
        ImpliedMoveReading(
            ImpliedMove(
                expiration=event.expiration,
                spot=spot,
                forward=event.forward,
                atm_strike=float(event.strikes[nearest]),
                straddle_cost=event.straddle,
                straddle_pct=100 * event.straddle / spot,
                jump_sigma_pct=100 * fit.jump_variance**0.5,
                event_sigma_pct=100 * sigma,
                event_move_pct=move,
                event_move_se_pct=100 * error / (2 * sigma) * (2 / np.pi) ** 0.5,
                event_move_interval_90_pct=(
                    100 * black76.straddle_fraction(low),
                    100 * black76.straddle_fraction(high),
                ),
                ambient_vol_pct=100 * max(annual, 0.0) ** 0.5,
                event_share=min(1.0, fit.jump_variance / event.atm_variance),
                method="two expirations" if len(surfaces) == 2 else f"term structure of {len(surfaces)} expirations",
                flags=(*flags, *event.flags, *(name for name, holds in more if holds)),
            ),
            surfaces,
            event,
            timing,
            reaction,
        )
    )


def _terms(surfaces: tuple[ExpirationSurface, ...], clock: SessionClock, weight: float) -> TermVariances:
    times = clock.variance_time(weight) / session_clock.variance_days_per_year(weight)
    return TermVariances(
        variance=np.array([each.atm_variance for each in surfaces]),
        variance_se=np.array([each.atm_variance_se for each in surfaces]),
        time=times[:-2],
        reports=np.array([each.reports_before for each in surfaces]),
        day_start=float(times[-2]),
        day_end=float(times[-1]),
    )


def _ambient_prior(snapshot: MarketSnapshot, terms: TermVariances) -> Result[tuple[float, float]]:
    """Mean ambient variance a year and its relative standard deviation."""
    if snapshot.realised is not None:
        return Ok((1.05 * snapshot.realised.annual**2, LEVEL_SD))
    after = np.flatnonzero(terms.reports == 1)
    before = np.flatnonzero(terms.reports == 0)
    if len(after) >= 2:
        first, last = int(after[0]), int(after[-1])
        _, rate = two_expiration_variances(
            float(terms.variance[first]), float(terms.time[first]), float(terms.variance[last]), float(terms.time[last])
        )
        return Ok((max(rate, 0.05 * float(terms.variance[first] / terms.time[first])), LEVEL_SD_FROM_OPTIONS))
    if len(before):
        return Ok((float(terms.variance[before[-1]] / terms.time[before[-1]]), LEVEL_SD_FROM_OPTIONS))
    return err(
        ErrorCode.NODATA, f"{snapshot.request.ticker}: one expiration and no past volatility; one more is needed"
    )
