"""What must be true after a day of the year: of outages, of the exchange's hours, of splits and of reports that moved.

The truth is the simulated world's and arithmetic on its bars. Every check says what it met, so that an event which
never came about cannot pass for one that went well.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from simulated_market import ComingSplit, LogEntry, MovedReport, World
from simulated_market.session_calendar import (
    CLOSING,
    closing_time,
    holiday_name,
    previous_session,
    sessions_ahead,
)
from tests.year.plan import (
    CALLS_SPENT,
    EARNINGS_DOWN,
    FAIR,
    MISHAPS,
    PRICES_GONE,
    SESSIONS_TO_MEASURE,
    SESSIONS_TO_READ_AGAIN,
    Plan,
    codes_of,
)

# All that a year holds; a run that is long enough must meet each several times.
KINDS: Final = (
    *(mishap for mishap in MISHAPS if mishap != FAIR),
    "change of the clock",
    "holiday",
    "early close",
    "split",
    "split, raw bars",
    "moved date",
    "moved date shown",
    "moved report measured",
)
_MOST_REFUSED: Final = 10  # as many as may be under way when the first is refused
_MOST_ATTEMPTS: Final = 6  # three of a call, and a row that an outage cost is called for once more
_NEAR_PCT: Final = 0.15  # cents of half a share, twice
_NEAR_SHARE: Final = 0.01
_EARNINGS: Final = "/query"


def sessions_scanned(day: date) -> int:
    """How far ahead a day's scan looks: on the rare days of an early close so far that somebody reports."""
    return 3 if closing_time(day) == CLOSING else 40


@dataclass(frozen=True, slots=True)
class Run:
    """One command of a day: what it said, and what it asked of the market."""

    name: str
    code: int
    out: str
    err: str
    asked: tuple[LogEntry, ...]

    @property
    def earnings_asked(self) -> Counter[str]:
        """How often each question was put to Alpha Vantage."""
        return Counter(entry.question for entry in self.asked if entry.question.startswith(_EARNINGS))

    @property
    def document(self) -> dict[str, Any]:
        """What a JSON report holds; empty where there was none."""
        return dict(json.loads(self.out)) if self.out.strip() else {}

    @property
    def has_todays_calendar(self) -> bool:
        return bool(self.document) and "calendar_not_refreshed" not in self.document["scan"]["flags"]


@dataclass(frozen=True, slots=True)
class Evening:
    """A day when its runs are over: `scan` and `backfill` of that day, the world of its moment, the database."""

    number: int
    plan: Plan
    world: World
    database: Path
    scan: Run
    backfill: Run
    calls: int | None  # that Alpha Vantage answers this day; None: all

    @property
    def day(self) -> date:
        return self.plan.sessions[self.number]

    @property
    def mishap(self) -> str:
        return self.plan.mishaps[self.number]

    def sessions_since(self, day: date) -> int:
        """How many sessions of the plan ago that one was, negative before it."""
        return self.number - self.plan.sessions.index(day)


@dataclass
class Judge:
    """Sees one evening after another; `met` counts what came about and was treated rightly."""

    met: Counter[str] = field(default_factory=Counter)
    _passed: set[tuple[ComingSplit | MovedReport, str]] = field(default_factory=set)

    def problems(self, evening: Evening) -> list[str]:
        """What was not as it must be."""
        return [
            *self._runs(evening),
            *self._outage(evening),
            *self._hours(evening),
            *self._history(evening),
            *(words for split in evening.plan.events.splits for words in self._split(evening, split)),
            *(words for move in evening.plan.events.moves for words in self._move(evening, move)),
        ]

    def _runs(self, evening: Evening) -> Iterator[str]:
        for run in (evening.scan, evening.backfill):
            if run.code not in codes_of(evening.mishap):
                yield f"{run.name}: exit code {run.code}: {run.err.strip().splitlines()[:1]}"
            if run.code not in {0, 3} and not run.err.strip():
                yield f"{run.name}: exit code {run.code} and no word why"
            if "Traceback" in run.err:
                yield f"{run.name}: a traceback"
            if (most := max(run.earnings_asked.values(), default=0)) > _MOST_ATTEMPTS:
                yield f"{run.name}: one question to Alpha Vantage put {most} times"

    def _outage(self, evening: Evening) -> Iterator[str]:
        scan, backfill = evening.scan, evening.backfill
        down, spent = evening.mishap == EARNINGS_DOWN, evening.mishap == CALLS_SPENT
        if down or spent or evening.mishap == FAIR:  # the market answers, and an analysis needs nobody else
            yield from _failures(scan.document)
        if (down or spent) and not scan.document:
            yield "scan: no report, though only Alpha Vantage fails and a calendar is stored"
        if down and scan.has_todays_calendar:
            yield "scan: a calendar of today from a provider that is down"
        by_scan, by_backfill = scan.earnings_asked.total(), backfill.earnings_asked.total()
        refused = 0 if evening.calls is None else max(by_scan + by_backfill - evening.calls, 0)
        if refused > _MOST_REFUSED:
            yield f"{refused} calls after the day's were spent"
        if evening.calls is not None and by_scan > evening.calls and by_backfill:
            yield f"backfill: asked Alpha Vantage {by_backfill} times after the scan was told that its calls are spent"
        if not spent and not scan.earnings_asked:
            yield "scan: did not ask Alpha Vantage for today's calendar"
        if spent:
            self.met[CALLS_SPENT] += refused > 0
        elif evening.mishap != FAIR:
            self.met[evening.mishap] += any(entry.faults for entry in (*scan.asked, *backfill.asked))

    def _hours(self, evening: Evening) -> Iterator[str]:
        day, before = evening.day, previous_session(evening.day)
        document = evening.scan.document
        early = closing_time(day) != CLOSING
        last = sessions_ahead(day, sessions_scanned(day)).isoformat()
        if document and document["scan"]["to"] != last:
            yield f"scan: to {document['scan']['to']}, to {last} are {sessions_scanned(day)} sessions"
        if document and datetime.fromisoformat(document["as_of"]).utcoffset() != evening.world.as_of.utcoffset():
            yield f"scan: as of {document['as_of']} is not New York's time"
        for each in document.get("analyses", ()):
            if ("quotes_off_hours" in each["flags"]) != early or (early and each["tradeable"]):
                yield f"{each['ticker']}: {each['flags']} {'after an early' if early else 'before the'} close"
        self.met["early close"] += early and bool(document.get("analyses"))
        between = [before + timedelta(n) for n in range(1, (day - before).days)]
        self.met["holiday"] += any(holiday_name(each) is not None for each in between)
        self.met["change of the clock"] += evening.world.as_of.utcoffset() != _offset(evening.world, before)

    def _history(self, evening: Evening) -> Iterator[str]:
        """Every stored move is the one that the world's bars show on the reaction session of a real report."""
        for ticker, moves in _moves(evening.database).items():
            true = dict(_true_moves(evening.world, ticker))
            for report_date, stored_pct, _ in moves:
                if report_date not in true:
                    yield f"{ticker}: a move of {report_date}, when it did not report"
                elif abs(stored_pct - true[report_date][0]) > _NEAR_PCT:
                    yield f"{ticker}: {stored_pct:.2f} % for {report_date}, {true[report_date][0]:.2f} is true"

    def _split(self, evening: Evening, split: ComingSplit) -> Iterator[str]:
        """After a split all moves are read again, and none that it falls on is half the price."""
        since = evening.sessions_since(split.day)
        if not -1 <= since <= SESSIONS_TO_READ_AGAIN or (split, "read again") in self._passed:
            return
        moves, true = _moves(evening.database).get(split.ticker, []), dict(_true_moves(evening.world, split.ticker))
        new = [abs(close / true[day][1] - 1.0) < _NEAR_SHARE for day, _, close in moves if day in true]
        if since < 0 and moves:
            self._passed.add((split, "stored before"))
        if since < 0 or (split, "stored before") not in self._passed:
            return
        if all(new):
            self._count(split, "read again", "split")
        elif since == SESSIONS_TO_READ_AGAIN:
            yield f"{split.ticker}: {new.count(False)} moves stand in the shares before the split of {split.day}"
        raw = any("SPLITS" in q and f"symbol={split.ticker}" in q for q in evening.backfill.earnings_asked)
        self.met["split, raw bars"] += raw and evening.mishap == PRICES_GONE

    def _move(self, evening: Evening, move: MovedReport) -> Iterator[str]:
        if evening.sessions_since(move.told) < 0:
            return
        yield from self._told(evening, move)
        since = evening.sessions_since(move.new)
        measured = [day for day, _, _ in _moves(evening.database).get(move.ticker, []) if day == move.new]
        if measured:
            self._count(move, "measured", "moved report measured")
        if since == SESSIONS_TO_MEASURE and not measured:
            yield f"{move.ticker}: its report of {move.new}, moved from {move.old}, is not measured"

    def _told(self, evening: Evening, move: MovedReport) -> Iterator[str]:
        """From the first calendar that says so: the old date is kept as history, and nowhere analysed."""
        current, given_up = _dates(evening.database, move.ticker)
        coming = evening.world.upcoming(move.ticker)
        named = coming is not None and coming.day == move.new and evening.scan.has_todays_calendar
        if named and move.new not in current:
            yield f"{move.ticker}: today's calendar moved its report to {move.new} and {current} stand"
        if move.new not in current:
            return
        self._count(move, "learned", "moved date")
        if move.old in current or move.old not in given_up:
            yield f"{move.ticker}: {move.old} is not kept as given up for {move.new}"
        for day, before in _shown(evening.scan.document, move.ticker):
            if evening.day <= move.new and (day, before) != (move.new, move.old):
                yield f"{move.ticker}: shown for {day}, moved from {before}, not for {move.new} from {move.old}"
            self.met["moved date shown"] += (day, before) == (move.new, move.old)

    def _count(self, event: ComingSplit | MovedReport, step: str, kind: str) -> None:
        """An event's step once, however long it shows."""
        if (event, step) not in self._passed:
            self._passed.add((event, step))
            self.met[kind] += 1


def _failures(document: dict[str, Any]) -> Iterator[str]:
    """Those who failed: whoever is too late or has no options is left out with the reason."""
    for each in document.get("failures", ()):
        yield f"scan: {each['ticker']} failed: {each['error']['message']}"


def _offset(world: World, day: date) -> timedelta | None:
    return datetime.combine(day, CLOSING, world.as_of.tzinfo).utcoffset()


def _true_moves(world: World, ticker: str) -> Iterator[tuple[date, tuple[float, float]]]:
    """Of every report in the price: the move of its reaction session in percent, and the close before it."""
    bars = world.bars(ticker)
    for report in world.past_reports(ticker):
        row = bars.index(report.reaction_session)
        if row:
            before = float(bars.close[row - 1])
            yield report.day, (100.0 * (float(bars.close[row]) / before - 1.0), before)


def _moves(database: Path) -> dict[str, list[tuple[date, float, float]]]:
    """By ticker: report date, move in percent, the close that it was measured from."""
    asked = "SELECT ticker, report_date, close_to_close_pct, previous_close FROM historical_moves WHERE reason IS NULL"
    found: dict[str, list[tuple[date, float, float]]] = {}
    for ticker, day, move_pct, close in _rows(database, asked):
        found.setdefault(ticker, []).append((date.fromisoformat(day), move_pct, close))
    return found


def _dates(database: Path, ticker: str) -> tuple[set[date], set[date]]:
    """The report dates that stand, and those that were given up."""
    asked = "SELECT report_date, superseded_at IS NULL FROM earnings_calendar WHERE ticker = ?"
    rows = [(date.fromisoformat(day), bool(stands)) for day, stands in _rows(database, asked, ticker)]
    return {day for day, stands in rows if stands}, {day for day, stands in rows if not stands}


def _rows(database: Path, asked: str, *values: str) -> Sequence[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(asked, values).fetchall()


def _shown(document: dict[str, Any], ticker: str) -> Iterator[tuple[date, date | None]]:
    """The report dates that a scan gives for a company, and what they moved from."""
    for each in (*document.get("analyses", ()), *document.get("rejected", ())):
        facts = each.get("earnings", each)
        if each["ticker"] == ticker:
            day, before = facts.get("date") or facts["earnings_date"], facts["moved_from"]
            yield date.fromisoformat(day), None if before is None else date.fromisoformat(before)
