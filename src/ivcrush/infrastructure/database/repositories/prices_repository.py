"""Past moves and recent daily bars in the database: a company's history is replaced whole or not at all."""

import sqlite3
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.types import DailyBar, HistoricalMove, MissingMove, Ticker
from ivcrush.infrastructure.database.connection import Database, Row
from ivcrush.infrastructure.database.flag_words import flags_text, parse_flags
from ivcrush.infrastructure.database.moments import parse_utc_text, utc_text

KEPT_BARS_DAYS: Final = 400  # a year of sessions for the ordinary volatility, and some to spare

_INSERT_MOVE = """INSERT INTO historical_moves (ticker, report_date, timing, reaction_session, previous_close,
    close_to_close_pct, gap_pct, open_to_close_pct, peak_pct, flags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_INSERT_MISSING = """INSERT INTO historical_moves (ticker, report_date, timing, flags, reason)
    VALUES (?, ?, ?, '[]', ?) ON CONFLICT DO NOTHING"""
_INSERT_BAR = """INSERT INTO daily_bars (ticker, session, open, high, low, close, volume)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_SAVE_BACKFILL = """INSERT INTO ticker_metadata (ticker, last_backfill, oldest_report) VALUES (?, ?, ?)
    ON CONFLICT (ticker) DO UPDATE SET last_backfill = excluded.last_backfill,
        oldest_report = coalesce(excluded.oldest_report, oldest_report)"""
_MOVES = """SELECT report_date, timing, reaction_session, previous_close, close_to_close_pct, gap_pct,
    open_to_close_pct, peak_pct, flags FROM historical_moves
    WHERE ticker = ? AND reaction_session < ? ORDER BY report_date DESC"""
_MISSING = """SELECT report_date, timing, reason FROM historical_moves
    WHERE ticker = ? AND report_date < ? AND reason IS NOT NULL ORDER BY report_date DESC"""
_BARS = """SELECT session, open, high, low, close, volume FROM daily_bars
    WHERE ticker = ? AND session BETWEEN ? AND ? ORDER BY session"""
# A move that was measured later than `through` is not of this window, though its report may be.
_DELETE_MOVES = """DELETE FROM historical_moves
    WHERE ticker = ? AND report_date BETWEEN ? AND ? AND (reaction_session IS NULL OR reaction_session <= ?)"""
_DELETE_BARS = "DELETE FROM daily_bars WHERE ticker = ? AND session <= ?"
_LAST_BACKFILL = "SELECT last_backfill FROM ticker_metadata WHERE ticker = ? AND last_backfill IS NOT NULL"
_OLDEST_REPORT = "SELECT oldest_report FROM ticker_metadata WHERE ticker = ? AND oldest_report IS NOT NULL"


class PricesRepository:
    """`PriceStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_history(
        self,
        ticker: Ticker,
        moves: Sequence[HistoricalMove],
        missing: Sequence[MissingMove],
        bars: Sequence[DailyBar],
        *,
        through: date,
        saved_at: datetime | None,
        oldest_report: date | None = None,
    ) -> Result[None]:
        """Replace what is kept from the oldest of these reports through the session `through`, in one transaction.

        Older reports and later ones stay; so do later bars. `saved_at` None: not to be taken for a whole history.
        `oldest_report` is the oldest one that the provider has, kept or not. Errors: DBERROR. Two moves of one report
        date are a defect of the caller.
        """
        dates = [*(move.report_date for move in moves), *(report.report_date for report in missing)]
        window = (ticker, min(dates, default=through).isoformat(), through.isoformat())

        def replace(connection: sqlite3.Connection) -> None:
            connection.execute(_DELETE_MOVES, (*window, through.isoformat()))
            connection.executemany(_INSERT_MOVE, [_move_row(ticker, move) for move in moves])
            connection.executemany(_INSERT_MISSING, [_missing_row(ticker, report) for report in missing])
            _replace_bars(connection, ticker, bars, through)
            if saved_at is not None:
                connection.execute(_SAVE_BACKFILL, _backfill_row(ticker, saved_at, oldest_report))

        return self._database.write(replace)

    def save_asked(self, ticker: Ticker, at: datetime) -> Result[None]:
        """Note that the company's reports were asked for, and nothing came of it. Errors: DBERROR."""

        def note(connection: sqlite3.Connection) -> None:
            connection.execute(_SAVE_BACKFILL, _backfill_row(ticker, at, None))

        return self._database.write(note)

    def moves(self, ticker: Ticker, before: date) -> Result[tuple[HistoricalMove, ...]]:
        """Moves whose reaction session lies before that day, newest report first. Errors: DBERROR."""
        return self._database.rows(_MOVES, (ticker, before.isoformat()), _parse_move)

    def missing_moves(self, ticker: Ticker, before: date) -> Result[tuple[MissingMove, ...]]:
        """Reports before that day without a measurable move, newest first. Errors: DBERROR."""
        return self._database.rows(_MISSING, (ticker, before.isoformat()), _parse_missing)

    def bars(self, ticker: Ticker, start: date, end: date) -> Result[tuple[DailyBar, ...]]:
        """Kept daily bars in [start, end], rising. Errors: DBERROR."""
        return self._database.rows(_BARS, (ticker, start.isoformat(), end.isoformat()), _parse_bar)

    def last_backfill(self, ticker: Ticker) -> Result[datetime | None]:
        """When the company's history was last saved (UTC), None for never. Errors: DBERROR."""
        found = self._database.rows(_LAST_BACKFILL, (ticker,), lambda row: parse_utc_text(row[0]))
        if isinstance(found, Err):
            return found
        return Ok(next(iter(found.value), None))

    def oldest_report(self, ticker: Ticker) -> Result[date | None]:
        """The oldest report that the provider has of the company, None where it never said. Errors: DBERROR."""
        found = self._database.rows(_OLDEST_REPORT, (ticker,), lambda row: date.fromisoformat(row[0]))
        return found if isinstance(found, Err) else Ok(next(iter(found.value), None))


def _replace_bars(connection: sqlite3.Connection, ticker: Ticker, bars: Sequence[DailyBar], through: date) -> None:
    """Bars older than `KEPT_BARS_DAYS` before `through` are let go."""
    oldest = through - timedelta(KEPT_BARS_DAYS)
    connection.execute(_DELETE_BARS, (ticker, through.isoformat()))
    connection.executemany(_INSERT_BAR, [_bar_row(ticker, bar) for bar in bars if oldest <= bar.session <= through])


def _backfill_row(ticker: Ticker, at: datetime, oldest_report: date | None) -> tuple[str | None, ...]:
    return ticker, utc_text(at), None if oldest_report is None else oldest_report.isoformat()


def _move_row(ticker: Ticker, move: HistoricalMove) -> tuple[object, ...]:
    return (
        ticker,
        move.report_date.isoformat(),
        move.timing.value,
        move.reaction_session.isoformat(),
        float(move.previous_close),
        float(move.close_to_close_pct),
        float(move.gap_pct),
        float(move.open_to_close_pct),
        float(move.peak_pct),
        flags_text(move.flags),
    )


def _parse_move(row: Row) -> HistoricalMove:
    report_date, timing, reaction_session, previous_close, close_to_close, gap, open_to_close, peak, flags = row
    return HistoricalMove(
        report_date=date.fromisoformat(report_date),
        timing=Timing(timing),
        reaction_session=date.fromisoformat(reaction_session),
        previous_close=previous_close,
        close_to_close_pct=close_to_close,
        gap_pct=gap,
        open_to_close_pct=open_to_close,
        peak_pct=peak,
        flags=parse_flags(flags),
    )


def _missing_row(ticker: Ticker, report: MissingMove) -> tuple[object, ...]:
    return ticker, report.report_date.isoformat(), report.timing.value, report.reason


def _parse_missing(row: Row) -> MissingMove:
    report_date, timing, reason = row
    return MissingMove(date.fromisoformat(report_date), Timing(timing), reason)


def _bar_row(ticker: Ticker, bar: DailyBar) -> tuple[object, ...]:
    return (
        ticker,
        bar.session.isoformat(),
        float(bar.open),
        float(bar.high),
        float(bar.low),
        float(bar.close),
        int(bar.volume),
    )


def _parse_bar(row: Row) -> DailyBar:
    session, opening, high, low, close, volume = row
    return DailyBar(date.fromisoformat(session), opening, high, low, close, volume)
