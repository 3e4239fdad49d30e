"""The true option-implied variance of a company: an ambient term structure on a session clock, and the scheduled jumps.

Total variance to an expiration is the ambient integral from the quote's moment plus the jumps of the reports in
between; it never looks at past bars.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from math import exp, sqrt

from simulated_market.bars import session_share
from simulated_market.companies import Company
from simulated_market.jumps import NO_JUMP, Mixture, jump
from simulated_market.schedule import Report
from simulated_market.session_calendar import count_sessions, is_session, previous_session

SESSIONS_A_YEAR = 252.0
_TILT_LIFE_YEARS = 0.12


@dataclass(frozen=True, slots=True)
class VolatilityTruth:
    """The term structure of one company seen from `quoted_at`, the last moment its options traded.

    `idle_day_weight` is the variance of a weekend day or holiday in units of a session's.
    """

    company: Company
    schedule: tuple[Report, ...]
    quoted_at: datetime
    idle_day_weight: float

    def ambient_variance(self, through: date) -> float:
        """Ordinary total variance from now to the close of `through`."""
        return self._integral(self._units_to(through))

    def session_variance(self, session: date) -> float:
        """Ordinary variance from the close before `session` (or from now, where that is later) to its close."""
        return self.ambient_variance(session) - self.ambient_variance(previous_session(session))

    def ambient_vol(self, through: date) -> float:
        """The average ordinary volatility to `through`, a fraction a year of 252 sessions."""
        return sqrt(self.ambient_variance(through) / self._units_to(through) * SESSIONS_A_YEAR)

    def pending(self, through: date) -> tuple[Report, ...]:
        """The reports that options expiring on `through` still wait for."""
        return tuple(
            report
            for report in self.schedule
            if report.reaction_session <= through and report.price_moment > self.quoted_at
        )

    def jumps(self, through: date) -> Mixture:
        """The mixture of all pending reports' moves."""
        each = jump(self.company.jump_kind, self.company.jump_sigma)
        return reduce(Mixture.followed_by, [each] * len(self.pending(through)), NO_JUMP)

    def _units_to(self, through: date) -> float:
        today = self.quoted_at.date()
        if through < today:
            return 0.0
        ahead = count_sessions(today, through)
        idle = (through - today).days - ahead
        left = 1.0 - session_share(today, self.quoted_at) if is_session(today) else 0.0
        return left + ahead + self.idle_day_weight * idle

    def _integral(self, units: float) -> float:
        """∫ level²·(1 + tilt·e^{-t/τ})² dt over `units` sessions, t in years of 252 sessions."""
        years = units / SESSIONS_A_YEAR
        tilt, life = self.company.short_end_tilt, _TILT_LIFE_YEARS
        once, twice = life * (1.0 - exp(-years / life)), 0.5 * life * (1.0 - exp(-2.0 * years / life))
        return self.company.ambient_vol**2 * (years + 2.0 * tilt * once + tilt * tilt * twice)
