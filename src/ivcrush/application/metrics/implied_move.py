"""What the options imply for the session that reacts to the report. Pure: one snapshot in, one reading out.

Straddle and event move are expected absolute moves: E|S_T/F − 1| = 4Φ(s/2) − 2 for the at-the-forward straddle of
total standard deviation s (Brenner and Subrahmanyam 1988, exact form), the event move with the reaction
session's own variance in place of s².
Without an answer there is an `Err` with the reason, never a negative or absurd number.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from ivcrush.application.metrics import session_clock
from ivcrush.application.metrics.event_move import EventMove, estimate_event_move
from ivcrush.application.metrics.event_variance import MISFIT_ERRORS
from ivcrush.application.metrics.jump_shape import JumpShape
from ivcrush.application.metrics.session_clock import SessionClock, variance_days_per_year
from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.application.metrics.surface_builder import build_surfaces
from ivcrush.application.metrics.vendor_volatility import vendor_disagrees
from ivcrush.domain.analysis import ImpliedMove
from ivcrush.domain.enums import SessionState, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import AnalysisRequest, MarketSnapshot

# Further out, ambient variance swallows the event and the next report is near.
LONGEST_DAYS = 110
# A stock is never listed without strikes near its price, and never pays half of itself within months.
FURTHEST_FROM_STRIKES = 1.3
LARGEST_DIVIDENDS = 0.5
FAT_TAILED_BEND = 0.03
SUSPECT_ERRORS = 3.0
# An event worth suspecting has the variance of this many ordinary sessions.
LEAST_SESSIONS_OF_A_SUSPECT = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class ImpliedMoveReading:
    """The implied move and what it was read from, for the measures that read the same options.

    `surfaces` has one entry a usable expiration, rising; `event` is the one whose straddle is quoted. `timing` is the
    report's session as it was used; `shape` says what at-the-forward options show of true variance.
    """

    move: ImpliedMove
    surfaces: tuple[ExpirationSurface, ...]
    event: ExpirationSurface
    timing: Timing
    shape: JumpShape


def implied_move(snapshot: MarketSnapshot) -> Result[ImpliedMoveReading]:
    """The event move of a snapshot; where the session is unknown both are computed and the wider one is the answer.

    Errors: NODATA where no expiration holds this report alone, no quote can be used or the options price no event;
    INVALID for a named expiration that ends before the reaction session, or whose second report nothing tells from this
    one, and for a report that the stock already trades on (context `entered_by`, the last moment before it; `session`).
    """
    timing = snapshot.request.timing
    if timing is not Timing.UNKNOWN:
        return _read(snapshot, timing, ())
    readings = [_read(snapshot, each, ("session_unknown",)) for each in (Timing.BMO, Timing.AMC)]
    usable = [reading for reading in readings if isinstance(reading, Ok)]
    if not usable:
        return readings[-1]  # the later session's: it is over last
    return max(usable, key=lambda reading: reading.value.move.event_move_pct)


def _read(snapshot: MarketSnapshot, timing: Timing, flags: tuple[str, ...]) -> Result[ImpliedMoveReading]:
    """The reading for one session of the report."""
    request, calendar = snapshot.request, snapshot.calendar
    reaction = session_clock.reaction_session(request.report_date, timing, calendar)
    if session_clock.reaction_has_begun(reaction, snapshot.as_of, calendar):
        return err(
            ErrorCode.INVALID,
            f"{request.ticker}: the stock already trades on the report of {request.report_date} ({timing}) "
            f"at {snapshot.as_of.isoformat()}; a report still to come is needed",
            entered_by=f"{session_clock.entry_closes_at(request.report_date, timing, calendar):%Y-%m-%d %H:%M}",
            session=timing.value,
        )
    expiration = _event_expiration(snapshot, reaction)
    if isinstance(expiration, Err):
        return expiration
    spot = snapshot.quote.spot()
    if isinstance(spot, Err):
        return spot
    contradiction = _contradiction(snapshot, spot.value, expiration.value)
    if contradiction is not None:
        return err(ErrorCode.INVALID, f"{request.ticker}: {contradiction}")
    surfaces, excluded = _usable_surfaces(snapshot, spot.value, timing, reaction, expiration.value)
    setting = _setting(request, _Session(timing, reaction, spot.value), surfaces, expiration.value)
    if isinstance(setting, Err):
        return setting
    flags += ("second_event_excluded",) if excluded else ()
    return _event_move(snapshot, setting.value, flags)


def _contradiction(snapshot: MarketSnapshot, spot: float, expiration: date) -> str | None:
    """Why the stock's price cannot be that of these options and dividends, as after an unadjusted split; or None."""
    strikes = next(chain.strikes for chain in snapshot.chains if chain.expiration == expiration)
    low, high = float(strikes[0]), float(strikes[-1])
    if not low / FURTHEST_FROM_STRIKES <= spot <= high * FURTHEST_FROM_STRIKES:
        return f"the stock is at {spot:g}, the strikes of {expiration} run from {low:g} to {high:g}"
    paid = sum(each.amount for each in snapshot.dividends)
    if paid >= LARGEST_DIVIDENDS * spot:
        return f"dividends of {paid:g} to come on a stock of {spot:g}; one of the two is wrong"
    return None


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
    snapshot: MarketSnapshot, spot: float, timing: Timing, reaction: date, event: date
) -> tuple[tuple[ExpirationSurface, ...], bool]:
    """The surfaces with at most one report before them and the event's, and whether others hold or may hold more.

    An event expiration of which the calendar cannot say whether it holds the next report is counted as if it did.
    """
    last = snapshot.as_of.date() + timedelta(LONGEST_DAYS)
    listed = [chain.expiration for chain in snapshot.chains]
    counts = session_clock.reports_before(listed, snapshot.request, timing, snapshot.calendar)
    years = session_clock.years_to_close(snapshot.as_of, listed, snapshot.calendar)
    kept = [
        (chain, count)
        for chain, count, left in zip(snapshot.chains, counts, years, strict=True)
        if left > 0 and (chain.expiration == event or (count in (0, 1) and chain.expiration <= last))
    ]
    excluded = any(count is None or count > 1 for count in counts)
    reports = [2 if count is None else count for _, count in kept]
    surfaces = build_surfaces(snapshot, [chain for chain, _ in kept], spot, reports, reaction)
    return surfaces, excluded


@dataclass(frozen=True, slots=True)
class _Session:
    """The session of the report as it is used, the one it moves, and the stock's price now in dollars."""

    timing: Timing
    reaction: date
    spot: float


@dataclass(frozen=True, slots=True)
class _Setting:
    """What the move is read from: `fitted` without an expiration behind a second report, even where it is the event's.

    The jump's shape is seen on `source`, which is the event's expiration or the first that holds this report alone.
    """

    session: _Session
    surfaces: tuple[ExpirationSurface, ...]
    event: ExpirationSurface
    fitted: tuple[ExpirationSurface, ...]
    source: ExpirationSurface


def _setting(
    request: AnalysisRequest, session: _Session, surfaces: tuple[ExpirationSurface, ...], expiration: date
) -> Result[_Setting]:
    event = next((each for each in surfaces if each.expiration == expiration), None)
    if event is None:
        return err(
            ErrorCode.NODATA,
            f"{request.ticker}: no usable quote in the expiration {expiration} that holds the report",
        )
    fitted = tuple(each for each in surfaces if each.reports_before <= 1)
    source = event if event in fitted else next((each for each in fitted if each.reports_before), None)
    if source is None:
        return err(
            ErrorCode.NODATA if request.expiration is None else ErrorCode.INVALID,
            f"{request.ticker}: the expiration {expiration} holds or may hold a second report; "
            "a usable one that holds this report alone is needed to tell them apart",
        )
    return Ok(_Setting(session, surfaces, event, fitted, source))


def _event_move(snapshot: MarketSnapshot, setting: _Setting, flags: tuple[str, ...]) -> Result[ImpliedMoveReading]:
    """The estimate in percent and dollars, with everything odd about it."""
    event, fitted, session = setting.event, setting.fitted, setting.session
    closes = [
        *(each.expiration for each in fitted),
        snapshot.calendar.previous_session(session.reaction),
        session.reaction,
    ]
    clock = SessionClock.to_closes(snapshot.as_of, closes, snapshot.calendar)
    realised = None if snapshot.realised is None else snapshot.realised.annual
    estimate = estimate_event_move(fitted, setting.source, clock, realised)
    if isinstance(estimate, Err):
        return err(estimate.error.code, f"{snapshot.request.ticker}: {estimate.error.message}")
    found = estimate.value
    move = ImpliedMove(
        expiration=event.expiration,
        spot=session.spot,
        forward=event.forward,
        atm_strike=float(event.strikes[np.argmin(np.abs(event.strikes - event.forward))]),
        straddle_cost=event.straddle,
        straddle_pct=100 * event.straddle / session.spot,
        jump_sigma_pct=100 * found.jump_sigma,
        event_sigma_pct=100 * found.event_sigma,
        event_move_pct=100 * found.move,
        event_move_se_pct=100 * found.standard_error,
        event_move_interval_90_pct=(100 * found.interval_90[0], 100 * found.interval_90[1]),
        ambient_vol_pct=100 * found.ambient_vol,
        event_share=min(1.0, found.jump_variance / found.shape.total_of(event.atm_variance, event.reports_before)),
        method=_method(fitted),
        quotes_used=sum(len(each.strikes) for each in fitted),
        quotes_rejected=_rejected(fitted),
        flags=tuple(
            dict.fromkeys((*flags, *event.flags, *setting.source.flags, *_flags(snapshot, setting, found, clock)))
        ),
    )
    return Ok(ImpliedMoveReading(move, setting.surfaces, event, session.timing, found.shape))


def _rejected(surfaces: tuple[ExpirationSurface, ...]) -> tuple[tuple[str, int], ...]:
    """Quotes that were not used, over all expirations, by reason code, most frequent first."""
    counts: Counter[str] = Counter()
    for surface in surfaces:
        counts.update(dict(surface.rejected))
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _method(surfaces: tuple[ExpirationSurface, ...]) -> str:
    if len(surfaces) == 1:
        return "one expiration less past ordinary volatility"
    return f"event variance over {len(surfaces)} expirations"


def _flags(snapshot: MarketSnapshot, setting: _Setting, found: EventMove, clock: SessionClock) -> list[str]:
    shape = found.shape
    chain = next(chain for chain in snapshot.chains if chain.expiration == setting.event.expiration)
    significant = abs(shape.bend) > 2 * shape.standard_error
    flags = {
        "single_expiry_uses_prior_ambient": len(setting.fitted) == 1,
        "event_variance_not_significant": found.jump_variance < 2 * found.jump_se,
        "term_structure_misfit": found.worst_misfit > MISFIT_ERRORS,
        "event_date_suspect": _date_suspect(setting, _ordinary_rate(snapshot, found), clock),
        "concave_smile": significant and shape.bend < 0,
        "fat_tailed_smile": significant and shape.bend > FAT_TAILED_BEND,
        "vendor_iv_disagrees": vendor_disagrees(chain, setting.event, snapshot.as_of),
        "quotes_off_hours": snapshot.calendar.state_at(snapshot.as_of) is not SessionState.OPEN,
    }
    return [name for name, holds in flags.items() if holds]


def _ordinary_rate(snapshot: MarketSnapshot, found: EventMove) -> float:
    """Ordinary variance a year: the fit's, or the past's where less, for a misplaced event inflates the fit's."""
    past = found.ambient_vol if snapshot.realised is None else snapshot.realised.annual
    return min(found.ambient_vol, past) ** 2


def _date_suspect(setting: _Setting, ambient: float, clock: SessionClock) -> bool:
    """Whether the variance jumps between two other expirations by more than where the calendar puts the report.

    Jumps are forward variances less ordinary variance, beyond their noise. What is ordinary between two expirations is
    the higher rate of the spans beside it, so that a rising term structure is no jump; `ambient` where there is none.
    """
    variance = np.array([0.0, *(each.atm_variance for each in setting.fitted)])
    error = np.array([0.0, *(each.atm_variance_se for each in setting.fitted)])
    span = np.diff(np.concatenate(((0.0,), clock.variance_time()[:-2])) / variance_days_per_year())
    rise, noise = np.diff(variance), np.hypot(error[1:], error[:-1])
    own = next(index for index, each in enumerate(setting.fitted) if each.reports_before > 0)
    least = max(
        float(rise[own] - ambient * span[own]), LEAST_SESSIONS_OF_A_SUSPECT * ambient / variance_days_per_year()
    )
    for index in range(len(rise)):
        beside = [at for at in (index - 1, index + 1) if 0 <= at < len(rise) and at != own]
        ordinary = max((float(rise[at] / span[at]) for at in beside), default=ambient)
        if index != own and rise[index] - ordinary * span[index] - SUSPECT_ERRORS * noise[index] > least:
            return True
    return False
