"""What befalls the market of a year, drawn from a seed: a mishap for every session, splits, and reports that move.

Decides only; nothing is run here. Every twelve sessions hold every mishap, so that a short run meets them too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Final

from simulated_market import ComingSplit, Events, FaultRule, MovedReport, Switches, World
from simulated_market.companies import Timing
from simulated_market.session_calendar import CLOSING, closing_time, next_session, session_on_or_after

# A day from which the clocks soon go back; a year from there has both changes of the clock and every holiday.
FIRST_DAY: Final = date(2025, 10, 30)
QUIET: Final = frozenset({0, 1, 3})  # 1: nobody reports in the days asked for, or no report has a usable price
OUTAGE: Final = QUIET | {69}
FAIR, PRICES_GONE, EARNINGS_DOWN, CALLS_SPENT = (
    "fair",
    "prices gone",
    "Alpha Vantage down",
    "Alpha Vantage's calls spent",
)
_MISHAPS: Final[Mapping[str, tuple[frozenset[int], tuple[FaultRule, ...]]]] = {
    FAIR: (QUIET, ()),
    "slow and flapping": (QUIET, (FaultRule("500", every=7),)),
    "every call fails": (OUTAGE, (FaultRule("500"),)),
    "connections cut": (OUTAGE, (FaultRule("reset_before", probability=0.5),)),
    "chains gone": (OUTAGE, (FaultRule("500", path="/markets/options/chains"),)),
    PRICES_GONE: (OUTAGE, (FaultRule("500", path="/markets/history"),)),
    EARNINGS_DOWN: (OUTAGE, (FaultRule("500", path="/query"),)),
    CALLS_SPENT: (QUIET | {75}, ()),
}
MISHAPS: Final = tuple(_MISHAPS)
_DECK: Final = (*MISHAPS, *4 * (FAIR,))
_QUIET_DAYS_FIRST: Final = 2  # before the first outage everybody's calendar must have been had once
_SESSIONS_A_SPLIT: Final = 10
_FACTORS: Final = (2.0, 3.0, 1.5, 0.1)
_LEAST_SPOT: Final = 100.0  # so that rounding to cents after a split is no move
_SESSIONS_TO_NEW_DAY: Final = (-1, 1, 2, 4)
# A company whose bars are plentiful and young is asked for new ones after ten sessions: within so many it must be.
SESSIONS_TO_READ_AGAIN: Final = 16
# A report that is due is asked for every day at first: within so many sessions the outages leave one.
SESSIONS_TO_MEASURE: Final = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """The sessions, a mishap for each, and what befalls companies; `watched` are backfilled on that day by name."""

    sessions: tuple[date, ...]
    mishaps: tuple[str, ...]
    events: Events
    watched: Mapping[date, tuple[str, ...]]

    def switches(self, number: int, seed: int) -> Switches:
        """How the market behaves in the session of that number."""
        mishap = self.mishaps[number]
        allowed = Random(f"{seed}/{number}/calls").randrange(3) if mishap == CALLS_SPENT else None
        return Switches(seed=number, faults=_MISHAPS[mishap][1], per_day=allowed)


def codes_of(mishap: str) -> frozenset[int]:
    """The exit codes that a run may have on such a day."""
    return _MISHAPS[mishap][0]


def sessions_from(first: date, count: int) -> tuple[date, ...]:
    """So many sessions in a row."""
    found = [session_on_or_after(first)]
    while len(found) < count:
        found.append(next_session(found[-1]))
    return tuple(found)


def drawn_plan(world: World, sessions: Sequence[date], seed: int) -> Plan:
    """The plan of these sessions, of which the machine may miss some."""
    return _Draft(world, tuple(sessions), Random(seed)).plan()


@dataclass
class _Draft:
    world: World
    sessions: tuple[date, ...]
    random: Random
    fixed: dict[int, str] = field(default_factory=dict)
    splits: list[ComingSplit] = field(default_factory=list)
    moves: list[MovedReport] = field(default_factory=list)
    watched: dict[date, tuple[str, ...]] = field(default_factory=dict)

    def plan(self) -> Plan:
        early = [number for number, day in enumerate(self.sessions) if closing_time(day) != CLOSING]
        self.fixed = dict.fromkeys((*range(_QUIET_DAYS_FIRST), *early), FAIR)  # too rare to be spoilt
        known = [ticker for ticker in self.world.tickers if self._plain(ticker)]
        tickers = self._shuffled(known)
        for ticker in tickers[::2]:
            if len(self.splits) * _SESSIONS_A_SPLIT < len(self.sessions):
                self._split(ticker, len(self.splits))
        for ticker in tickers[1::2]:
            self._move(ticker)
        blocks = range(0, len(self.sessions), len(_DECK))
        mishaps = tuple(mishap for first in blocks for mishap in self._dealt(first))[: len(self.sessions)]
        return Plan(self.sessions, mishaps, Events(tuple(self.splits), tuple(self.moves)), self.watched)

    def _dealt(self, first: int) -> list[str]:
        """A deck for the sessions from `first` on; who needs a certain mishap takes it, the others what is left."""
        left = Counter(_DECK)
        places = range(first, first + len(_DECK))
        left.subtract(self.fixed[place] for place in places if place in self.fixed)
        rest = iter(self._shuffled(list(left.elements())))
        return [self.fixed[place] if place in self.fixed else next(rest, FAIR) for place in places]

    def _shuffled(self, items: Sequence[str]) -> list[str]:
        return self.random.sample(items, len(items))

    def _plain(self, ticker: str) -> bool:
        company = self.world.listing(ticker).company
        priced = company.reports and company.has_weeklies and company.spot >= _LEAST_SPOT
        return priced and company.timing is not Timing.DMH and company.split is None and "." not in ticker

    def _split(self, ticker: str, turn: int) -> None:
        """On a report's reaction session, with or without Tradier's history the day after, or between reports."""
        on_report = [place for _, place in self._reports(ticker) if self._unbroken(place - 3, place + 2)]
        elsewhere = [
            place
            for place in range(_QUIET_DAYS_FIRST + 1, len(self.sessions) - SESSIONS_TO_READ_AGAIN)
            if self._unbroken(place - 2, place + SESSIONS_TO_READ_AGAIN) and place not in on_report
        ]
        between = turn % 3 == 2
        wanted = {-1: FAIR} | ({1: PRICES_GONE} if turn % 3 == 0 else {})
        places = [place for place in (elsewhere if between else on_report) if self._free(place, wanted)]
        if not places:
            return
        place = self.random.choice(places)
        self.fixed |= {place + step: mishap for step, mishap in wanted.items()}
        self.splits.append(ComingSplit(ticker, self.sessions[place], self.random.choice(_FACTORS)))
        self._watch(ticker, place - 2, place + SESSIONS_TO_READ_AGAIN)

    def _move(self, ticker: str) -> None:
        """Half of its reports of the year, told two sessions before."""
        for old, place in self._reports(ticker):
            later = self.random.choice(_SESSIONS_TO_NEW_DAY)
            if self.random.random() < 0.5 or not self._unbroken(place - 4, place + max(later, 0) + 3):
                continue
            at = self.sessions.index(old)
            self.moves.append(MovedReport(ticker, self.sessions[at - 2], old, self.sessions[at + later]))
            self._watch(ticker, at - 3, at + later + SESSIONS_TO_MEASURE)

    def _reports(self, ticker: str) -> Iterator[tuple[date, int]]:
        """The days of its reports, and the place of the session that reacts."""
        for report in self.world.listing(ticker).reports:
            if report.day in self.sessions and report.reaction_session in self.sessions:
                yield report.day, self.sessions.index(report.reaction_session)

    def _unbroken(self, first: int, last: int) -> bool:
        inside = first >= 0 and last < len(self.sessions)
        return inside and all(next_session(self.sessions[n]) == self.sessions[n + 1] for n in range(first, last))

    def _free(self, place: int, wanted: Mapping[int, str]) -> bool:
        return all(self.fixed.get(place + step, mishap) == mishap for step, mishap in wanted.items())

    def _watch(self, ticker: str, first: int, last: int) -> None:
        for day in self.sessions[max(first, 0) : last + 1]:
            self.watched[day] = (*self.watched.get(day, ()), ticker)
