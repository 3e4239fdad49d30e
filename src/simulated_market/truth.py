"""What is really true of one simulated company: the answers an estimator should find. It computes nothing."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class PastMove:
    """One past report and the move its daily bars contain; all in percent of the close before, signed."""

    earnings_date: date
    timing: str
    reaction_session: date
    close_to_close_pct: float
    gap_pct: float
    open_to_close_pct: float
    peak_pct: float


@dataclass(frozen=True, slots=True)
class Truth:
    """The coming report and what the options of the right expiration say about it.

    `event_sigma_pct` is the log standard deviation of the close-to-close move over the reaction session, that session's
    ordinary volatility included; `event_move_pct` is E|move| of the same. `true_vrp` is the option-implied over the
    real-world size of the jump. `forwards` and `atm_variances` are (expiration, value) pairs, nearest first.
    `past_moves` are newest first.
    """

    ticker: str
    earnings_date: date
    timing: str
    reaction_session: date
    expiration: date | None
    spot: float
    jump_kind: str
    jump_sigma_pct: float
    event_sigma_pct: float
    event_move_pct: float
    straddle_pct: float | None
    ambient_vol_pct: float
    true_vrp: float
    forwards: tuple[tuple[date, float], ...]
    atm_variances: tuple[tuple[date, float], ...]
    past_moves: tuple[PastMove, ...]
