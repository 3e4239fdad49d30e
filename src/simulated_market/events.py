"""What befalls companies after the anchor day beyond what is drawn: splits, and reports that are put off or brought
forward.

Values, and what they change as seen on a day. Nothing shows before it has happened or was told.
"""

from dataclasses import dataclass
from datetime import date

from simulated_market.schedule import Report, moved_to


@dataclass(frozen=True, slots=True)
class ComingSplit:
    """`day` is the first session that trades in new shares, `factor` the new shares for one old."""

    ticker: str
    day: date
    factor: float


@dataclass(frozen=True, slots=True)
class MovedReport:
    """The report planned for `old` takes place on `new`, which the company tells on `told`."""

    ticker: str
    told: date
    old: date
    new: date

    def __post_init__(self) -> None:
        if self.told >= min(self.old, self.new):
            raise ValueError(f"{self.ticker}: a report moved from {self.old} to {self.new} is told before both")


@dataclass(frozen=True, slots=True)
class Events:
    """All of a world's."""

    splits: tuple[ComingSplit, ...] = ()
    moves: tuple[MovedReport, ...] = ()

    def splits_of(self, ticker: str, today: date) -> tuple[ComingSplit, ...]:
        """The company's splits that are in today's prices."""
        return tuple(split for split in self.splits if split.ticker == ticker and split.day <= today)

    def schedule(self, ticker: str, planned: tuple[Report, ...], today: date) -> tuple[Report, ...]:
        """The company's reports as today knows them."""
        days = {move.old: move.new for move in self.moves if move.ticker == ticker and move.told <= today}
        return tuple(moved_to(report, days.get(report.day, report.day)) for report in planned)


NO_EVENTS = Events()
