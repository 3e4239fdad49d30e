"""Batches of a few companies: what each row came to, what the market was asked, what the cache holds afterwards."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

from simulated_market import FaultRule, Switches
from tests.faults.verdict import CANARIES
from tests.integration.conftest import Desk, Finished

CACHE = "data/ivcrush-cache.db"


def companies(desk: Desk, count: int = 5) -> tuple[str, ...]:
    """So many companies with a past, in the order of their coming reports."""
    world = desk.market.world
    coming = [(ticker, world.upcoming(ticker)) for ticker in world.tickers if len(world.past_reports(ticker)) >= 8]
    return tuple(ticker for _, ticker in sorted((report.day, ticker) for ticker, report in coming if report)[:count])


def calendar_file(desk: Desk, tickers: tuple[str, ...]) -> str:
    """A calendar file that names their report dates and leaves session and expiration open."""
    world = desk.market.world
    lines = [f"{ticker},{report.day.isoformat()},\n" for ticker in tickers if (report := world.upcoming(ticker))]
    desk.file("earnings.csv", ("ticker,earnings_date,expiration_date\n" + "".join(lines)).encode())
    return "earnings.csv"


def batch(desk: Desk, tickers: tuple[str, ...], *arguments: str, **settings: str) -> Finished:
    """`analyze-batch` over them, whatever fails; a breaker that opened is tried again after 50 ms."""
    given = ("--earnings-file", calendar_file(desk, tickers), "--continue-on-error", "--format", "json")
    quiet = () if "--log-level" in arguments else ("--log-level", "ERROR")
    chosen = {"CIRCUIT_BREAKER_RECOVERY_TIMEOUT": "0.05"} | settings
    finished = desk.run("analyze-batch", *given, *quiet, *arguments, **chosen)
    assert not any(canary in (finished.out + finished.err).encode() for canary in CANARIES)
    return finished


def document(finished: Finished) -> dict[str, Any]:
    """The JSON that a run printed; NaN and Infinity, which are no JSON, are refused."""
    read = json.loads(finished.out, parse_constant=_refuse)
    assert isinstance(read, dict)
    return read


def outcomes(finished: Finished, tickers: tuple[str, ...]) -> dict[str, str]:
    """Of every company what it came to: "done", "no vrp", or its error's code. Each must be there exactly once."""
    found = document(finished)
    done = {row["ticker"]: "no vrp" if "error" in row["vrp"] else "done" for row in found["analyses"]}
    failed = {row["ticker"]: row["error"]["code"] for row in found["failures"]}
    assert len(found["analyses"]) + len(found["failures"]) == len(tickers)
    assert done.keys() | failed.keys() == set(tickers)
    assert all(row["error"]["message"] for row in found["failures"])
    return done | failed


def asked(desk: Desk, words: str = "", since: int = 0) -> Counter[str]:
    """How often each question that holds these words was asked, from that request on."""
    return Counter(entry.question for entry in desk.market.log()[since:] if words in entry.question)


def asked_so_far(desk: Desk) -> int:
    """How many requests the market has had."""
    return len(desk.market.log())


def cached(desk: Desk, name: str = CACHE) -> dict[str, bytes]:
    """The replies on disk by their keys."""
    path = desk.directory / name
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT key, payload FROM replies").fetchall())


def weather(desk: Desk, *rules: FaultRule, **options: Any) -> None:
    """From now on the market has these faults and options; everything is counted anew."""
    desk.market.set_switches(Switches(faults=rules, **options))


def _refuse(word: str) -> float:
    raise AssertionError(f"{word} in a report")
