"""Many companies' histories: what each lacks, who is asked for first, and what that costs in calls, days and minutes.

Values and sums only; asks nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil

from ivcrush.application.services.history_needs import Standing


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the providers permit: scarce calls left today and a day, and calls a minute to each provider."""

    left_today: int
    a_day: int
    scarce_a_minute: int
    plentiful_a_minute: int


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """The companies in the order of work, calls for the calendar (none or one), and the allowance."""

    standings: tuple[Standing, ...]
    calendar_calls: int
    allowance: Allowance

    @property
    def already_complete(self) -> int:
        """Companies for which nobody has to be asked, those without any report included."""
        return sum(not standing.calls for standing in self.standings)

    @property
    def scarce_calls(self) -> int:
        """Calls that count against the day's allowance."""
        return self.calendar_calls + sum(standing.scarce_calls for standing in self.standings)

    @property
    def plentiful_calls(self) -> int:
        """Calls for prices."""
        return sum(standing.plentiful_calls for standing in self.standings)

    @property
    def days(self) -> int:
        """Days on which the command has to run until nothing is lacking, today included; 0 where nothing is."""
        if not self.scarce_calls and not self.plentiful_calls:
            return 0
        return 1 + ceil(max(0, self.scarce_calls - self.allowance.left_today) / self.allowance.a_day)

    @property
    def minutes_today(self) -> float:
        """What the permitted rates make of today's part; the two providers are paced side by side."""
        today = min(self.scarce_calls, self.allowance.left_today)
        return max(today / self.allowance.scarce_a_minute, self.plentiful_calls / self.allowance.plentiful_a_minute)

    def needed_after(self, position: int) -> int:
        """Scarce calls that the companies after this position need."""
        return sum(standing.scarce_calls for standing in self.standings[position + 1 :])


def in_order(standings: Sequence[Standing], *, oldest_first: bool = False) -> tuple[Standing, ...]:
    """Who costs no scarce call first; then who lacks reports, the soonest expected report first; then dividends alone.

    With `oldest_first` it is not the coming report that counts but how long ago a company was asked about: where all is
    read anew, the next day goes on where the calls ended. Where nothing distinguishes two, they stay as given.
    """

    def place(standing: Standing) -> tuple[bool, bool, float]:
        asked_s = 0.0 if standing.asked_at is None else standing.asked_at.timestamp()
        coming = float((standing.expected or date.max).toordinal())
        scarce = standing.scarce_calls > 0
        return scarce, scarce and not standing.lacks_reports, asked_s if oldest_first else coming

    return tuple(sorted(standings, key=place))
