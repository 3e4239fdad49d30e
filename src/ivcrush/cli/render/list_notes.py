"""What stands around a list for people: what to enter today, whether one can act, why a number is missing, flags.

Gathered from one analysis at a time, because there may be thousands. Says nothing that the documents do not hold.
"""

from collections.abc import Iterator
from datetime import datetime

from ivcrush.application.documents import Document
from ivcrush.application.metrics.doubts import DOUBTS
from ivcrush.cli.render.parts import part_of, safe
from ivcrush.domain.enums import SessionState

NO_RATIO = "no ratio"
# Parts that a list has columns of, and what their numbers are called there.
_SHOWN_PARTS = (("vrp", NO_RATIO), ("execution", "no execution"))
# Every company has these while the exchange is shut: one line at the top says it for all.
_OFF_HOURS = frozenset({"quotes_off_hours", "vendor_iv_stale"})


class ListNotes:
    """The lines above and below the list of a run that is of the moment `as_of`."""

    def __init__(self, as_of: datetime) -> None:
        self._as_of = as_of
        self._entries: list[tuple[datetime, str]] = []
        self._missing: list[str] = []
        self._flags: list[tuple[str, tuple[str, ...]]] = []
        self._shut: list[
            tuple[str, datetime]
        ] = []  # of each company whose exchange was not open: its state, the opening
        self._quoted_at: list[datetime] = []

    def add(self, analysis: Document) -> None:
        """Note what this row will need."""
        ticker = safe(analysis["ticker"])
        self._note_entry(ticker, analysis)
        self._note_exchange(analysis)
        for name, words in _SHOWN_PARTS:
            part = part_of(analysis, name)
            if "error" in part:
                message = safe(part_of(part, "error")["message"])
                self._missing.append(f"{ticker}: {words}: {message.removeprefix(f'{ticker}: ')}")
        flags = analysis["flags"]
        assert isinstance(flags, list)
        self._flags.append((ticker, tuple(map(safe, flags))))

    def above(self) -> Iterator[str]:
        """What a trader asks first: can one act now, and on what."""
        if not self._flags:
            return
        if self._all_shut:
            yield self._shut_line()
        if self._entries or not self._all_shut:
            yield self._entry_line()

    def missing(self) -> tuple[str, ...]:
        """Why a row has `n/a`, a line a company and part."""
        return tuple(self._missing)

    def flags(self) -> Iterator[str]:
        """Each company's flags by name, those first that keep it from being tradeable."""
        everybodys = self._everybodys_flags()
        for ticker, flags in self._flags:
            doubts = [flag for flag in flags if flag in DOUBTS]
            others = [flag for flag in flags if flag not in DOUBTS and flag not in everybodys]
            told = [f"in doubt: {', '.join(doubts)}"] if doubts else []
            told += [", ".join(others)] if others else []
            if told:
                yield f"  {ticker}: {'; '.join(told)}"

    @property
    def _all_shut(self) -> bool:
        return 0 < len(self._flags) == len(self._shut)

    def _note_entry(self, ticker: str, analysis: Document) -> None:
        told = part_of(analysis, "earnings").get("enter_by")
        if analysis["tradeable"] is True and told is not None:
            closes_at = datetime.fromisoformat(str(told)).astimezone(self._as_of.tzinfo)
            if closes_at > self._as_of:
                self._entries.append((closes_at, ticker))

    def _note_exchange(self, analysis: Document) -> None:
        exchange = analysis.get("exchange")  # absent where a run of another version kept the row
        if isinstance(exchange, dict) and exchange["state"] != SessionState.OPEN:
            opens_at = datetime.fromisoformat(str(exchange["opens_at"]))
            self._shut.append((safe(exchange["state"]), opens_at))
        age_s = part_of(analysis, "execution").get("quote_age_s")
        if isinstance(age_s, int | float):
            moment = datetime.fromisoformat(str(analysis["as_of"])).timestamp() - age_s
            self._quoted_at.append(datetime.fromtimestamp(moment, self._as_of.tzinfo))

    def _shut_line(self) -> str:
        state, opens_at = self._shut[0]
        quoted = f"newest quotes of {max(self._quoted_at):%a %Y-%m-%d %H:%M}; " if self._quoted_at else ""
        today = opens_at.date() == self._as_of.date()
        opening = f"{opens_at:%H:%M}" if today else f"{opens_at:%a %Y-%m-%d %H:%M}"
        return f"{state}: {quoted}nothing is tradeable before {opening}"

    def _entry_line(self) -> str:
        if not self._entries:
            return "to enter today: none; nothing in this list is tradeable"
        today = [each for each in self._entries if each[0].date() == self._as_of.date()]
        if today:
            return f"to enter today: {', '.join(f'{ticker} (by {at:%H:%M})' for at, ticker in today)}"
        first = min(at for at, _ in self._entries)
        names = ", ".join(ticker for at, ticker in self._entries if at == first)
        return f"to enter today: none; next: {names} on {first:%Y-%m-%d} by {first:%H:%M}"

    def _everybodys_flags(self) -> frozenset[str]:
        if not self._all_shut:
            return frozenset()
        return _OFF_HOURS.intersection(*(flags for _, flags in self._flags))
