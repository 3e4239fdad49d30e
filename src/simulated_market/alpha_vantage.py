"""The Alpha Vantage dialect: functions to bodies, every number a string, every error a 200.

Bodies only; counters, keys and faults are the application's.
"""

import csv
import io
from collections.abc import Callable
from datetime import date, timedelta
from typing import cast

import numpy as np

from simulated_market.companies import Timing
from simulated_market.data_faults import HOSTILE_TEXT
from simulated_market.messages import Framing, Reply, Request, encode_json
from simulated_market.schedule import Report
from simulated_market.switches import Switches
from simulated_market.tradier_rows import Row, option_rows
from simulated_market.world import World

_HORIZON_DAYS = {"3month": 92, "6month": 183, "12month": 365}
_COMPACT_ROWS = 100
_CALENDAR_COLUMNS = ("symbol", "name", "reportDate", "fiscalDateEnding", "estimate", "currency", "timeOfTheDay")
_QUOTE_FIELDS = ("symbol", "open", "high", "low", "price", "volume")  # those that JSON and CSV call the same
_CLASS_SHARE_CONFLICT_DAYS = 6  # BF.B and BF-B are the same company with two dates in the real list
_DIVIDEND_COLUMNS = ("ex_dividend_date", "declaration_date", "record_date", "payment_date", "amount")
PREMIUM_URL = "https://www.alphavantage.co/premium/"
_WORDS = {Timing.BMO: "pre-market", Timing.AMC: "post-market"}


def invalid_call(function: str) -> dict[str, str]:
    """The body for a wrong symbol or parameter."""
    link = "https://www.alphavantage.co/documentation/"
    return {"Error Message": f"Invalid API call. Please retry or visit the documentation ({link}) for {function}."}


def information(text: str) -> dict[str, str]:
    """The body of a refusal."""
    return {"Information": text}


class AlphaVantage:
    """Bodies of one world under one set of switches."""

    def __init__(self, world: World, switches: Switches) -> None:
        self._world = world
        self._switches = switches
        self._functions: dict[str, Callable[[Request], Reply]] = {
            "EARNINGS": self._earnings,
            "EARNINGS_CALENDAR": self._earnings_calendar,
            "DIVIDENDS": self._dividends,
            "SPLITS": self._splits,
            "TIME_SERIES_DAILY": self._daily,
            "TIME_SERIES_DAILY_ADJUSTED": self._daily_adjusted,
            "GLOBAL_QUOTE": self._global_quote,
            "HISTORICAL_OPTIONS": self._historical_options,
        }

    def answer(self, request: Request) -> Reply:
        """The reply to a request whose key was accepted."""
        function = self._functions.get(request.function)
        return _premium() if function is None else function(request)

    # ---- earnings

    def _earnings(self, request: Request) -> Reply:
        ticker = self._ticker(request)
        if ticker is None or not self._world.listing(ticker).reports:
            return json_reply({})
        rows = [self._quarter(ticker, report) for report in reversed(self._world.past_reports(ticker))]
        if self._switches.dirty_earnings:
            rows = self._dirtied(ticker, rows)
        years: dict[str, float] = {}
        for row in rows:
            if row["reportedEPS"] != "None":
                year = row["fiscalDateEnding"][:4]
                years[year] = years.get(year, 0.0) + float(row["reportedEPS"])
        annual = [{"fiscalDateEnding": f"{year}-12-31", "reportedEPS": f"{eps:.2f}"} for year, eps in years.items()]
        if annual:  # the newest year is not over: it ends with its last quarter
            annual[0]["fiscalDateEnding"] = next(r["fiscalDateEnding"] for r in rows if r["reportedEPS"] != "None")
        return json_reply({"symbol": request.parameters["symbol"], "annualEarnings": annual, "quarterlyEarnings": rows})

    def _quarter(self, ticker: str, report: Report) -> dict[str, str]:
        company = self._world.listing(ticker).company
        bars = self._world.bars(ticker)
        row = bars.index(report.reaction_session)
        surprise = 0.0 if row is None or row == 0 else float(bars.close[row] / bars.close[row - 1] - 1.0)
        estimate = round(max(company.spot, 1.0) / 100.0 + (report.fiscal_end.toordinal() % 7) / 50.0, 2)
        actual = round(estimate * (1.0 + surprise), 2)
        quarter = {
            "fiscalDateEnding": report.fiscal_end.isoformat(),
            "reportedDate": report.day.isoformat(),
            "reportedEPS": f"{actual:g}",
            "estimatedEPS": f"{estimate:g}",
            "surprise": f"{actual - estimate:.2f}",
            "surprisePercentage": f"{100.0 * (actual / estimate - 1.0):.4f}",
        }
        return quarter | ({"reportTime": _WORDS[report.timing]} if company.publishes_timing else {})

    def _dirtied(self, ticker: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        """A quarter still to come at the head, one repeated, one that gave no numbers, one reported on the quarter's
        own last day.
        """
        coming = self._world.upcoming(ticker)
        head = [] if coming is None else [self._unreported(coming)]
        if len(rows) < 4:
            return head + rows
        no_numbers = rows[3] | {"reportedEPS": "None", "surprise": "0", "surprisePercentage": "None"}
        impossible = rows[-1] | {"reportedDate": rows[-1]["fiscalDateEnding"]}
        return [*head, *rows[:2], rows[1], rows[2], no_numbers, *rows[4:-1], impossible]

    @staticmethod
    def _unreported(report: Report) -> dict[str, str]:
        row = {"fiscalDateEnding": report.fiscal_end.isoformat(), "reportedDate": report.day.isoformat()}
        return row | {"reportedEPS": "None", "estimatedEPS": "1.1", "surprise": "0", "surprisePercentage": "None"}

    def _earnings_calendar(self, request: Request) -> Reply:
        today = self._world.as_of.date()
        last = today + timedelta(days=_HORIZON_DAYS.get(request.parameters.get("horizon", "3month"), 92))
        wanted = request.parameters.get("symbol")
        ticker = None if wanted is None else self._ticker(request)
        tickers = self._world.tickers if wanted is None else () if ticker is None else (ticker,)
        rows = [row for one in tickers for row in self._calendar_rows(one, today, last)]
        rows.sort(key=lambda row: row[0])
        columns = _CALENDAR_COLUMNS if self._switches.calendar_time_column else _CALENDAR_COLUMNS[:-1]
        return self._csv("earnings_calendar.csv", columns, [row[: len(columns)] for row in rows])

    def _calendar_rows(self, ticker: str, today: date, last: date) -> list[tuple[str, ...]]:
        report = self._world.upcoming(ticker)
        if report is None or not today <= report.day <= last:
            return []
        company = self._world.listing(ticker).company
        mark = sum(ticker.encode()) + report.day.toordinal()
        day = self._shown_day(report.day, mark)
        soon = (report.day - today).days <= 3
        shown = company.publishes_timing and (soon or mark % 18 == 0)
        words = _WORDS[report.timing] if shown else ""
        estimate = "" if mark % 2 else f"{company.spot / 100.0:.2f}"
        name = (
            HOSTILE_TEXT
            if self._switches.hostile_names
            else company.name.upper()
            if ticker[0] == "S" or mark % 3
            else ticker
        )
        row = (ticker, name, day.isoformat(), report.fiscal_end.isoformat(), estimate, "USD", words)
        if "." not in ticker:
            return [row]
        other = report.day + timedelta(days=_CLASS_SHARE_CONFLICT_DAYS)
        return [row, (ticker.replace(".", "-"), ticker.replace(".", "-"), other.isoformat(), *row[3:6], "")]

    def _shown_day(self, day: date, mark: int) -> date:
        """An estimate may stand on the Saturday of its week."""
        return (
            day + timedelta(days=5 - day.weekday()) if self._switches.calendar_weekend_dates and mark % 5 == 0 else day
        )

    # ---- corporate actions

    def _dividends(self, request: Request) -> Reply:
        ticker = self._ticker(request)
        paid = () if ticker is None else self._world.listing(ticker).dividends
        known = [one for one in reversed(paid) if one.declared <= self._world.as_of.date()]
        rows = [
            {
                "ex_dividend_date": one.ex_date.isoformat(),
                "declaration_date": one.declared.isoformat() if index < 12 else "None",
                "record_date": one.ex_date.isoformat(),
                "payment_date": one.paid.isoformat(),
                "amount": f"{one.amount:g}",
            }
            for index, one in enumerate(known)
        ]
        return self._rows(request, "dividends.csv", _DIVIDEND_COLUMNS, rows)

    def _splits(self, request: Request) -> Reply:
        ticker = self._ticker(request)
        found = [] if ticker is None else self._split_dates(ticker)
        rows = [{"effective_date": day.isoformat(), "split_factor": f"{factor:.4f}"} for day, factor in reversed(found)]
        return self._rows(request, "splits.csv", ("effective_date", "split_factor"), rows)

    def _split_dates(self, ticker: str) -> list[tuple[date, float]]:
        """(effective day, new shares for one old), oldest first."""
        found = [(date.fromisoformat(day), factor) for name, day, factor in self._switches.splits if name == ticker]
        return sorted([*found, *self._world.splits(ticker)])

    # ---- prices

    def _daily(self, request: Request) -> Reply:
        ticker = self._ticker(request)
        if ticker is None:
            return json_reply(invalid_call("TIME_SERIES_DAILY"))
        full = request.parameters.get("outputsize") == "full"
        if full and not self._switches.premium:
            return _premium_size()
        days, columns = self._raw_columns(ticker, full=full)
        if request.parameters.get("datatype") == "csv":
            rows = [(day, *(f"{c[n]:.4f}" for c in columns[:4]), f"{columns[4][n]:.0f}") for n, day in enumerate(days)]
            return self._csv("daily.csv", ("timestamp", "open", "high", "low", "close", "volume"), rows)
        names = ("1. open", "2. high", "3. low", "4. close", "5. volume")
        series = {
            day: {
                name: f"{c[n]:.4f}" if k < 4 else f"{c[n]:.0f}"
                for k, (name, c) in enumerate(zip(names, columns, strict=True))
            }
            for n, day in enumerate(days)
        }
        size = "Full size" if full else "Compact"
        meta = {
            "1. Information": "Daily Prices (open, high, low, close) and Volumes",
            "2. Symbol": request.parameters["symbol"],
            "3. Last Refreshed": days[0],
            "4. Output Size": size,
            "5. Time Zone": "US/Eastern",
        }
        return json_reply({"Meta Data": meta, "Time Series (Daily)": series})

    def _daily_adjusted(self, request: Request) -> Reply:
        ticker = self._ticker(request)
        if not self._switches.premium:
            return _premium()
        if ticker is None:
            return json_reply(invalid_call("TIME_SERIES_DAILY_ADJUSTED"))
        days, columns = self._raw_columns(ticker, full=request.parameters.get("outputsize") == "full")
        adjusted = self._world.bars(ticker).close[::-1]
        paid = {one.ex_date.isoformat(): one.amount for one in self._world.listing(ticker).dividends}
        splits = {day.isoformat(): factor for day, factor in self._split_dates(ticker)}
        names = ("1. open", "2. high", "3. low", "4. close")
        series = {
            day: {name: f"{column[n]:.4f}" for name, column in zip(names, columns, strict=False)}
            | {
                "5. adjusted close": f"{adjusted[n]:.4f}",
                "6. volume": f"{columns[4][n]:.0f}",
                "7. dividend amount": f"{paid.get(day, 0.0):.4f}",
                "8. split coefficient": f"{splits.get(day, 1.0):.1f}",
            }
            for n, day in enumerate(days)
        }
        words = "Daily Time Series with Splits and Dividend Events"
        meta = {"1. Information": words, "2. Symbol": request.parameters["symbol"], "3. Last Refreshed": days[0]}
        return json_reply({"Meta Data": meta, "Time Series (Daily)": series})

    def _raw_columns(self, ticker: str, *, full: bool) -> tuple[list[str], list[list[float]]]:
        """Bars as traded, newest first: before a split the prices are `factor` times today's and the volumes that much
        smaller.
        """
        bars = self._world.bars(ticker)
        days = np.array(bars.days, dtype="datetime64[D]")
        factor = np.ones(len(days))
        for day, ratio in self._split_dates(ticker):
            factor[days < np.datetime64(day)] *= ratio
        prices = [column * factor for column in (bars.open, bars.high, bars.low, bars.close)]
        count = len(days) if full else _COMPACT_ROWS
        columns = [column[::-1][:count].tolist() for column in (*prices, bars.volume / factor)]
        return [day.isoformat() for day in bars.days[::-1][:count]], columns

    def _global_quote(self, request: Request) -> Reply:
        ticker = self._ticker(request)
        csv_asked = request.parameters.get("datatype") == "csv"
        names = (*_QUOTE_FIELDS, "latestDay", "previousClose", "change", "changePercent")
        if ticker is None:
            return self._csv("quote.csv", names, []) if csv_asked else json_reply({"Global Quote": {}})
        days, columns = self._raw_columns(ticker, full=False)
        opened, high, low, close, volume = (column[0] for column in columns)
        before = columns[3][1]
        values = (
            request.parameters["symbol"],
            *(f"{price:.4f}" for price in (opened, high, low, close)),
            f"{volume:.0f}",
            days[0],
            f"{before:.4f}",
            f"{close - before:.4f}",
            f"{100.0 * (close / before - 1.0):.4f}%",
        )
        if csv_asked:
            return self._csv("quote.csv", names, [values])
        words = (*_QUOTE_FIELDS, "latest trading day", "previous close", "change", "change percent")
        quote = {f"{n:02d}. {word}": value for n, (word, value) in enumerate(zip(words, values, strict=True), start=1)}
        return json_reply({"Global Quote": quote})

    def _historical_options(self, request: Request) -> Reply:
        """The option table of the running session, every value a string; other dates were never recorded: no rows."""
        if not self._switches.premium:
            return _premium()
        ticker, today = self._ticker(request), self._world.quoted_at.date().isoformat()
        wanted = ticker is not None and request.parameters.get("date", today) == today
        rows = [] if ticker is None or not wanted else self._option_table(ticker, today)
        return json_reply({"endpoint": "Historical Options", "message": "success", "data": rows})

    def _option_table(self, ticker: str, today: str) -> list[dict[str, str]]:
        chains = (self._world.chain(ticker, one.day) for one in self._world.expirations(ticker))
        rows = (
            row
            for chain in chains
            if chain is not None
            for row in option_rows(self._world, ticker, chain, greeks=True, delay_s=0, adjusted=False)
        )
        return [_as_option_table_row(row, ticker, today) for row in rows]

    # ---- shapes

    def _ticker(self, request: Request) -> str | None:
        ticker = request.parameters.get("symbol", "").replace("-", ".")
        return ticker if ticker in self._world and ticker not in self._switches.unmatched else None

    def _rows(self, request: Request, name: str, columns: tuple[str, ...], rows: list[dict[str, str]]) -> Reply:
        """The rows under `data`, or as CSV where that was asked for."""
        if request.parameters.get("datatype") == "csv":
            return self._csv(name, columns, [tuple(row[column] for column in columns) for row in rows])
        return json_reply({"symbol": request.parameters.get("symbol", ""), "data": rows})

    def _csv(self, name: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Reply:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n" if self._switches.line_ending == "lf" else "\r\n")
        writer.writerow(columns)
        writer.writerows(rows)
        mark = b"\xef\xbb\xbf" if self._switches.byte_order_mark else b""
        return Reply(
            mark + text.getvalue().encode(),
            reason="OK",
            content_type="application/x-download",
            headers=(("content-disposition", f"attachment; filename={name}"),),
            framing=Framing.LENGTH,
        )


def _as_option_table_row(row: Row, ticker: str, today: str) -> dict[str, str]:
    greeks = cast("dict[str, float]", row["greeks"])
    bid, ask = cast("float", row["bid"]), cast("float", row["ask"])
    numbers = {"last": row["last"] or 0.0, "mark": (bid + ask) / 2.0, "bid": bid, "ask": ask}
    counts = {"bid_size": "bidsize", "ask_size": "asksize", "volume": "volume", "open_interest": "open_interest"}
    return {
        "contractID": str(row["symbol"]),
        "symbol": ticker,
        "expiration": str(row["expiration_date"]),
        "strike": f"{row['strike']:.2f}",
        "type": str(row["option_type"]),
        **{name: f"{value:.2f}" for name, value in numbers.items()},
        **{name: str(row[source]) for name, source in counts.items()},
        "date": today,
        "implied_volatility": f"{max(greeks['mid_iv'], 0.01488):.5f}",  # the floor seen on a tenth of real rows
        **{name: f"{greeks[name]:.5f}" for name in ("delta", "gamma", "theta", "vega", "rho")},
    }


def json_reply(value: object) -> Reply:
    """A body as Alpha Vantage sends it: indented by four, with its length."""
    return Reply(encode_json(value, indent=4), reason="OK", content_type="application/json", framing=Framing.LENGTH)


def _premium() -> Reply:
    words = "Thank you for using Alpha Vantage! This is a premium endpoint."
    plans = f"You may subscribe to any of the premium plans at {PREMIUM_URL} to instantly unlock all premium endpoints"
    return json_reply(information(f"{words} {plans}"))


def _premium_size() -> Reply:
    words = "The outputsize=full parameter value is a premium feature for the TIME_SERIES_DAILY endpoint."
    plans = f"You may subscribe to any of the premium plans at {PREMIUM_URL} to instantly unlock all premium features"
    return json_reply(information(f"Thank you for using Alpha Vantage! {words} {plans}"))
