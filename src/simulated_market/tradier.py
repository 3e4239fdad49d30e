"""The Tradier dialect: paths and parameters to answers, with its one-element lists, null containers and spellings.

An answer is a JSON value; transport, errors and faults are the application's.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta

from simulated_market.messages import Request
from simulated_market.session_calendar import (
    EASTERN,
    OPENING,
    closing_time,
    holiday_name,
    is_session,
)
from simulated_market.switches import Switches
from simulated_market.tradier_rows import (
    Row,
    canonical,
    contract_symbol,
    equity_row,
    history_rows,
    is_in_session,
    option_rows,
    root_of,
    spelled,
)
from simulated_market.world import World

_CONTRACT = re.compile(r"^([A-Z]{1,6}\d?)(\d{6})([CP])(\d{8})$")
_MOST_ROWS_FOUND = 10
_MISSING = object()


class InvalidParameterError(Exception):
    """A request that Tradier answers with 400 and `Invalid parameter, <name>: <why>`."""


class Tradier:
    """Answers of one world under one set of switches."""

    def __init__(self, world: World, switches: Switches) -> None:
        self._world = world
        self._switches = switches
        self._routes: dict[str, Callable[[dict[str, str]], object]] = {
            "/v1/markets/quotes": self._quotes,
            "/v1/markets/options/expirations": self._expirations,
            "/v1/markets/options/strikes": self._strikes,
            "/v1/markets/options/chains": self._chains,
            "/v1/markets/options/lookup": self._option_lookup,
            "/v1/markets/history": self._history,
            "/v1/markets/timesales": self._timesales,
            "/v1/markets/calendar": self._calendar,
            "/v1/markets/clock": self._clock,
            "/v1/markets/search": self._search,
            "/v1/markets/lookup": self._search,
            "/v1/markets/etb": self._easy_to_borrow,
            "/beta/markets/fundamentals/calendars": self._corporate_calendars,
        }

    def knows(self, path: str) -> bool:
        """Whether the path is one of Tradier's market data paths."""
        return path in self._routes

    def answer(self, request: Request) -> object:
        """The JSON value for a known path; InvalidParameterError where a needed parameter is missing or malformed."""
        return self._routes[request.path](request.parameters)

    # ---- quotes

    def _quotes(self, asked: dict[str, str]) -> object:
        symbols = [part.strip() for part in asked.get("symbols", "").split(",") if part.strip()]
        if not symbols:
            raise InvalidParameterError("symbols: must not be empty.")
        greeks = _flag(asked, "greeks")
        rows, unmatched = [], []
        for symbol in symbols:
            row = self._quote(symbol, greeks=greeks)
            if row is None:
                unmatched.append(symbol)
            else:
                rows.append(row)
        found: dict[str, object] = {"quote": self._listed(rows)} if rows else {}
        if unmatched:
            found["unmatched_symbols"] = {"symbol": self._listed(unmatched)}
        return {"quotes": found}

    def _quote(self, symbol: str, *, greeks: bool) -> Row | None:
        ticker = self._ticker(symbol)
        if ticker is not None:
            return equity_row(
                self._world, ticker, delay_s=self._switches.sandbox_delay_s, adjusted=self._adjusted(ticker)
            )
        contract = _CONTRACT.match(symbol)
        if contract is None:
            return None
        root, day = contract.group(1), _contract_day(contract.group(2))
        ticker = next((name for name in (root, f"{root[:-1]}.{root[-1]}") if name in self._world), None)
        if ticker is None or day is None:
            return None
        return next((row for row in self._option_rows(ticker, day, greeks=greeks) if row["symbol"] == symbol), None)

    # ---- options

    def _expirations(self, asked: dict[str, str]) -> object:
        ticker = self._ticker(_needed(asked, "symbol"))
        listed = () if ticker is None else self._world.expirations(ticker)
        if ticker is None or not listed:
            return self._container("expirations", "date", [])
        wanted = [name for name in ("contractSize", "expirationType", "strikes") if _flag(asked, name)]
        if not wanted:
            return self._container("expirations", "date", [one.day.isoformat() for one in listed])
        rows: list[object] = []
        for one in listed:
            row: Row = {"date": one.day.isoformat()}
            if "contractSize" in wanted:
                row["contract_size"] = 100
            if "expirationType" in wanted:
                row["expiration_type"] = one.kind
            if "strikes" in wanted:
                row["strikes"] = {"strike": self._listed(self._strikes_of(ticker, one.day))}
            rows.append(row)
        return self._container("expirations", "expiration", rows)

    def _strikes(self, asked: dict[str, str]) -> object:
        ticker, day = self._ticker(_needed(asked, "symbol")), _day(asked, "expiration")
        return self._container("strikes", "strike", [] if ticker is None else self._strikes_of(ticker, day))

    def _strikes_of(self, ticker: str, day: date) -> list[float]:
        chain = self._world.chain(ticker, day)
        return [] if chain is None else chain.strikes.tolist()

    def _chains(self, asked: dict[str, str]) -> object:
        ticker, day = self._ticker(_needed(asked, "symbol")), _day(asked, "expiration")
        if ticker is None or (self._switches.empty_chains_after_hours and not is_in_session(self._world)):
            return self._container("options", "option", [])
        return self._container("options", "option", self._option_rows(ticker, day, greeks=_flag(asked, "greeks")))

    def _option_rows(self, ticker: str, day: date, *, greeks: bool) -> list[Row]:
        chain = self._world.chain(ticker, day)
        if chain is None:
            return []
        delay_s, adjusted = self._switches.sandbox_delay_s, self._adjusted(ticker)
        return option_rows(self._world, ticker, chain, greeks=greeks, delay_s=delay_s, adjusted=adjusted)

    def _option_lookup(self, asked: dict[str, str]) -> object:
        ticker = self._ticker(_needed(asked, "underlying"))
        listed = () if ticker is None else self._world.expirations(ticker)
        if ticker is None or not listed:
            return {"symbols": self._nothing()}
        roots = [root_of(ticker), *([f"{root_of(ticker)}1"] if self._adjusted(ticker) else [])]
        symbols = [
            {
                "rootSymbol": root,
                "options": [
                    contract_symbol(root, one.day.isoformat(), side, strike)
                    for one in listed
                    for strike in self._strikes_of(ticker, one.day)
                    for side in (("call", "put") if root == roots[0] else ("call",))
                ],
            }
            for root in roots
        ]
        return {"symbols": symbols}

    # ---- prices

    def _history(self, asked: dict[str, str]) -> object:
        ticker = self._ticker(_needed(asked, "symbol"))
        if ticker is None:
            return self._container("history", "day", [])
        end = asked.get("end") or "9999-12-31"
        start = asked.get("start") or f"{self._world.as_of.year}-01-01"
        rows = history_rows(self._world.bars(ticker), start, end)
        return self._container("history", "day", _by_interval(rows, asked.get("interval", "daily")))

    def _timesales(self, asked: dict[str, str]) -> object:
        """The running session in fifteen-minute steps on a straight line from its open to its last price."""
        ticker = self._ticker(_needed(asked, "symbol"))
        if ticker is None or not is_in_session(self._world):
            return self._container("series", "data", [])
        bars = self._world.bars(ticker)
        first, last, volume = float(bars.open[-1]), float(bars.close[-1]), int(bars.volume[-1])
        opened = datetime.combine(self._world.as_of.date(), OPENING, EASTERN)
        steps = int((self._world.as_of - opened).total_seconds() // 900)
        rows = []
        for step in range(steps):
            moment = opened + timedelta(minutes=15 * step)
            price = round(first + (last - first) * (step + 1) / steps, 4)
            row = {"time": moment.strftime("%Y-%m-%dT%H:%M:%S"), "timestamp": int(moment.timestamp()), "price": price}
            ends = dict.fromkeys(("open", "high", "low", "close"), price)
            rows.append(row | ends | {"volume": volume // steps, "vwap": price})
        return self._container("series", "data", rows)

    # ---- time

    def _calendar(self, asked: dict[str, str]) -> object:
        today = self._world.as_of.date()
        year, month = _whole(asked, "year", today.year), _whole(asked, "month", today.month)
        if not 1 <= month <= 12:
            raise InvalidParameterError("month: must be between 1 and 12.")
        days = [self._calendar_day(date(year, month, number + 1)) for number in range(monthrange(year, month)[1])]
        return {"calendar": {"month": month, "year": year, "days": {"day": days}}}

    def _calendar_day(self, day: date) -> Row:
        if not is_session(day):
            name = holiday_name(day)
            words = "Market is closed" if name is None else f"Market is closed for {name}"
            return {"date": day.isoformat(), "status": "closed", "description": words}
        end = self._close(day)
        return {
            "date": day.isoformat(),
            "status": "open",
            "description": "Market is open",
            "premarket": {"start": "07:00", "end": "09:24"},
            "open": {"start": "09:30", "end": end},
            "postmarket": {"start": end, "end": "19:55"},
        }

    def _close(self, day: date) -> str:
        if self._switches.early_close_today and day == self._world.as_of.date():
            return "13:00"
        return closing_time(day).strftime("%H:%M")

    def _clock(self, _asked: dict[str, str]) -> object:
        now = self._world.as_of
        day, minute = now.date(), now.strftime("%H:%M")
        end = self._close(day)
        stages = (
            ("closed", "07:00"),
            ("premarket", "09:30"),
            ("open", end),
            ("postmarket", "20:00"),
            ("closed", "07:00"),
        )
        stage = sum(minute >= limit for _, limit in stages[:4]) if is_session(day) else 0
        if self._switches.session_state is not None:
            stage = [name for name, _ in stages].index(self._switches.session_state)
        state, until = stages[stage]
        words = f"Market is open from 09:30 to {end}" if state == "open" else f"Market is {state} (simulated)."
        following = stages[(stage + 1) % 5][0] if stage < 4 else "premarket"
        clock = {"date": day.isoformat(), "description": words, "state": state, "timestamp": int(now.timestamp())}
        return {"clock": clock | {"next_change": until, "next_state": following}}

    # ---- companies

    def _search(self, asked: dict[str, str]) -> object:
        wanted = asked.get("q", "").upper()
        rows = []
        for ticker in self._world.tickers:
            found = self._world.listing(ticker).company
            if wanted and (ticker.startswith(wanted) or wanted in found.name.upper()):
                rows.append(_security(ticker, found.exchange, found.kind, found.name))
            if len(rows) == _MOST_ROWS_FOUND:
                break
        return self._container("securities", "security", rows)

    def _easy_to_borrow(self, _asked: dict[str, str]) -> object:
        listed = (self._world.listing(ticker).company for ticker in self._world.tickers[:_MOST_ROWS_FOUND])
        rows = [_security(one.ticker, one.exchange, one.kind, one.name) for one in listed]
        return self._container("securities", "security", rows)

    def _corporate_calendars(self, asked: dict[str, str]) -> object:
        symbols = [part.strip() for part in asked.get("symbols", "").split(",") if part.strip()]
        return [self._corporate_calendar(symbol) for symbol in symbols]

    def _corporate_calendar(self, symbol: str) -> Row:
        ticker = self._ticker(symbol)
        if ticker is None:
            return {"request": symbol, "type": "Symbol", "results": [], "error": "No results found."}
        identity = f"0C{root_of(ticker):0>8}"[:10]
        past, coming = self._world.past_reports(ticker), self._world.upcoming(ticker)
        rows = [
            {
                "company_id": identity,
                "begin_date_time": report.day.isoformat(),
                "end_date_time": report.day.isoformat(),
                "event_type": event_type,
                "estimated_date_for_next_event": "1970-01-01",
                "event": f"{ticker} {report.fiscal_end:%b %Y} {words} (simulated)",
                "event_fiscal_year": report.fiscal_end.year,
                "event_status": "Confirmed",
                "time_zone": "1970-01-01",
            }
            for report in (*past[::2], *past[1::2], *(() if coming is None else (coming,)))
            for event_type, words in ((8, "Earning Result"), (14, "Earnings Release call"))
        ]
        tables = {"corporate_calendars": self._listed(rows) if rows else None}
        results = [{"type": "Company", "id": identity, "tables": tables}]
        return {"request": symbol, "type": "Symbol", "results": results}

    # ---- the dialect's shapes

    def _ticker(self, symbol: str) -> str | None:
        ticker = canonical(symbol)
        spelled_right = spelled(ticker) == symbol
        return ticker if spelled_right and ticker in self._world and ticker not in self._switches.unmatched else None

    def _adjusted(self, ticker: str) -> bool:
        return ticker in self._switches.adjusted_root

    def _listed(self, items: Iterable[object]) -> object:
        rows = list(items)
        return rows[0] if len(rows) == 1 and self._switches.collapse_single else rows

    def _container(self, outer: str, inner: str, items: Iterable[object]) -> object:
        rows = list(items)
        if rows:
            return {outer: {inner: self._listed(rows)}}
        nothing = self._nothing()
        return {} if nothing is _MISSING else {outer: nothing}

    def _nothing(self) -> object:
        styles: dict[str, object] = {
            "null": None,
            "empty_object": {},
            "missing": _MISSING,
            "null_string": "null",
            "empty_list": [],
        }
        return styles[self._switches.nothing_found]


def _security(ticker: str, exchange: str, kind: str, name: str) -> Row:
    return {"symbol": spelled(ticker), "exchange": exchange, "type": kind, "description": name}


def _by_interval(rows: list[Row], interval: str) -> list[Row]:
    """Weekly and monthly rows carry the first day of their period that traded."""
    if interval == "daily":
        return rows
    periods: dict[object, list[Row]] = {}
    for row in rows:
        day = date.fromisoformat(str(row["date"]))
        key = day.isocalendar()[:2] if interval == "weekly" else (day.year, day.month)
        periods.setdefault(key, []).append(row)
    return [_merged(part) for part in periods.values()]


def _merged(part: list[Row]) -> Row:
    number = {name: [float(str(row[name])) for row in part] for name in ("high", "low", "volume")}
    return {
        "date": part[0]["date"],
        "open": part[0]["open"],
        "high": max(number["high"]),
        "low": min(number["low"]),
        "close": part[-1]["close"],
        "volume": int(sum(number["volume"])),
    }


def _flag(asked: dict[str, str], name: str) -> bool:
    return asked.get(name, "").lower() == "true"


def _needed(asked: dict[str, str], name: str) -> str:
    value = asked.get(name, "").strip()
    if not value:
        raise InvalidParameterError(f"{name}: must not be empty.")
    return value


def _day(asked: dict[str, str], name: str) -> date:
    try:
        return date.fromisoformat(_needed(asked, name))
    except ValueError:
        raise InvalidParameterError(f"{name}: must be in the format of YYYY-MM-DD.") from None


def _whole(asked: dict[str, str], name: str, default: int) -> int:
    text = asked.get(name, "") or str(default)
    if not text.isascii() or not text.isdigit():
        raise InvalidParameterError(f"{name}: must be a number.")
    return int(text)


def _contract_day(digits: str) -> date | None:
    try:
        return date.fromisoformat(f"20{digits[:2]}-{digits[2:4]}-{digits[4:]}")
    except ValueError:
        return None
