"""Daily bars that really contain the jumps: the price path of one company, split-adjusted, on the exchange's sessions.

Draws run forward from a fixed first session, so a market that stands one day later shows the same past and one more
bar. The bar of the day the market stands in is cut at that moment.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date, datetime
from math import log, sqrt

import numpy as np

from simulated_market.companies import Company, Timing
from simulated_market.jumps import jump
from simulated_market.normal import Floats
from simulated_market.schedule import Dividend, Report
from simulated_market.seeding import stream
from simulated_market.session_calendar import closing_moment, opening_moment, session_on_or_before

_OVERNIGHT_SHARE = 0.3  # of a day's ordinary variance
_REALISED_SHARE = 0.95  # ordinary days realise a little less than their options imply
_DRIFT = 0.06


@dataclass(frozen=True, slots=True)
class Bars:
    """Columns of one price history, oldest first; prices in today's shares, volumes in shares."""

    days: tuple[date, ...]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def index(self, day: date) -> int | None:
        """The row of a session, None outside the history."""
        row = bisect_left(self.days, day)
        return row if row < len(self.days) and self.days[row] == day else None

    def before(self, moment: datetime) -> "Bars":
        """The history as seen at `moment`: later sessions left out, a running one unfinished."""
        count = bisect_right(self.days, moment.date())
        if self.days[count - 1] == moment.date() and moment <= opening_moment(moment.date()):
            count -= 1
        share = session_share(self.days[count - 1], moment)
        seen = Bars(
            self.days[:count],
            *(column[:count].copy() for column in (self.open, self.high, self.low, self.close, self.volume)),
        )
        if share < 1.0:
            _cut_last(seen, share)
        return seen


def session_share(day: date, moment: datetime) -> float:
    """How much of the session `day` has passed at `moment`, 0 to 1."""
    opened, closed = opening_moment(day), closing_moment(day)
    return min(max((moment - opened) / (closed - opened), 0.0), 1.0)


def build_bars(
    seed: int,
    company: Company,
    *,
    sessions: tuple[date, ...],
    schedule: tuple[Report, ...],
    paid: tuple[Dividend, ...],
    anchor: date,
) -> Bars:
    """The whole history over `sessions`, scaled so that the close of the anchor session is the company's spot."""
    count = len(sessions)
    draws = stream(seed, company.ticker, "bars").standard_normal((count, 5))
    rows = {day: row for row, day in enumerate(sessions)}
    overnight, intraday = _ordinary_returns(company, draws)
    _add_jumps(seed, company, schedule, rows, gaps=overnight, intraday=intraday)
    anchor_row = rows[session_on_or_before(anchor)]
    path = _closes(company.spot, overnight + intraday, anchor_row)
    _add_dividends(paid, rows, path, overnight)
    closes = _closes(company.spot, overnight + intraday, anchor_row)
    return _finish(company, sessions, closes, intraday, draws)


def _ordinary_returns(company: Company, draws: Floats) -> tuple[Floats, Floats]:
    daily = company.ambient_vol * sqrt(_REALISED_SHARE / 252.0)
    overnight = daily * sqrt(_OVERNIGHT_SHARE) * draws[:, 0]
    intraday = daily * sqrt(1.0 - _OVERNIGHT_SHARE) * draws[:, 1] + (_DRIFT / 252.0 - 0.5 * daily * daily)
    return overnight, intraday


def _add_jumps(
    seed: int, company: Company, schedule: tuple[Report, ...], rows: dict[date, int], *, gaps: Floats, intraday: Floats
) -> None:
    random = stream(seed, company.ticker, "jumps")
    real_world = jump(company.jump_kind, company.jump_sigma / company.true_vrp)
    for report in schedule:
        move = real_world.draw(random)
        row = rows.get(report.reaction_session)
        if row is not None:
            part = intraday if company.timing is Timing.DMH else gaps
            part[row] += move


def _closes(spot: float, returns: Floats, anchor_row: int) -> Floats:
    total = np.cumsum(returns)
    return np.asarray(spot * np.exp(total - total[anchor_row]), dtype=np.float64)


def _add_dividends(paid: tuple[Dividend, ...], rows: dict[date, int], path: Floats, overnight: Floats) -> None:
    for dividend in paid:
        row = rows.get(dividend.ex_date)
        if row is not None and row > 0:
            overnight[row] += log(1.0 - min(dividend.amount / float(path[row - 1]), 0.5))


def _finish(company: Company, sessions: tuple[date, ...], closes: Floats, intraday: Floats, draws: Floats) -> Bars:
    opens = closes * np.exp(-intraday)
    reach = company.ambient_vol / sqrt(252.0)
    high = np.maximum(opens, closes) * np.exp(0.35 * reach * np.abs(draws[:, 2]))
    low = np.minimum(opens, closes) * np.exp(-0.35 * reach * np.abs(draws[:, 3]))
    usual = 4e7 * company.liquidity**4 + 2e5
    volume = np.round(usual * np.exp(0.35 * draws[:, 4] + 8.0 * np.minimum(np.abs(np.log(closes / opens)), 0.15)))
    digits = 2 if float(np.min(low)) >= 2.0 else 4
    opens, high, low, closes = (np.round(column, digits) for column in (opens, high, low, closes))
    return Bars(sessions, opens, high, low, closes, volume)


def _cut_last(bars: Bars, share: float) -> None:
    first = float(bars.open[-1])
    now = round(first * (float(bars.close[-1]) / first) ** share, 2)
    bars.high[-1] = round(max(first, now, min(float(bars.high[-1]), max(first, now) * 1.004)), 4)
    bars.low[-1] = round(min(first, now, max(float(bars.low[-1]), min(first, now) * 0.996)), 4)
    bars.close[-1] = now
    bars.volume[-1] = round(float(bars.volume[-1]) * share)
