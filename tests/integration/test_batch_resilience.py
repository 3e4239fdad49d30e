"""A batch on a bad day: a fifth of all requests fails, in every way that passes, and every row is accounted for."""

import json
import shutil

import pytest

from simulated_market import FaultRule, Switches
from tests.integration.conftest import Desk, Finished

COMPANIES = 40
PASSING = (
    "500", "502", "503", "504", "404", "429", "200_html", "200_empty", "200_not_json", "200_gzip_garbage",
    "truncate_length", "truncate_chunked", "truncate_without_length", "empty_reply", "reset_before", "reset_in_body",
)  # fmt: skip
SHARE = 0.2
# One draw a rule, and the first that strikes decides: together they strike a fifth of the requests.
EACH = 1 - (1 - SHARE) ** (1 / len(PASSING))
# Five sick answers in a row are an outage by default; on such a day they would be chance, and whom they hit, too.
NO_OUTAGE = "50"
BAD_DAY = Switches(seed=2, rate_window_s=0.25, faults=tuple(FaultRule(fault, probability=EACH) for fault in PASSING))


@pytest.fixture
def prepared(desk: Desk) -> Desk:
    """A desk whose database knows every company's past, so that a batch asks the market alone."""
    world = desk.market.world
    coming = [(ticker, world.upcoming(ticker)) for ticker in world.tickers]
    rows = [(ticker, report.day) for ticker, report in coming if report is not None][:COMPANIES]
    lines = [f"{ticker},{day.isoformat()},\n" for ticker, day in rows]
    desk.file("earnings.csv", ("ticker,earnings_date,expiration_date\n" + "".join(lines)).encode())
    desk.file("tickers.txt", "\n".join(ticker for ticker, _ in rows).encode())
    filled = desk.run("backfill", "--file", "tickers.txt", "--calendar", ALPHA_VANTAGE_PER_DAY="100000")
    assert filled.code == 0, filled.err
    shutil.move(desk.directory / "data", desk.directory / "before")
    return desk


def batch(desk: Desk, switches: Switches, concurrency: int) -> tuple[Finished, int]:
    """A run from the same beginning each time, and how often the market was asked."""
    data = desk.directory / "data"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(desk.directory / "before", data, ignore=shutil.ignore_patterns("*cache*"))
    desk.market.set_switches(switches)
    asked_before = asked(desk)
    finished = desk.run(
        "analyze-batch", "--earnings-file", "earnings.csv", "--continue-on-error", "--format", "json",
        "--max-concurrent", str(concurrency), CIRCUIT_BREAKER_FAILURE_THRESHOLD=NO_OUTAGE,
    )  # fmt: skip
    return finished, asked(desk) - asked_before


def asked(desk: Desk) -> int:
    return int(str(desk.market.stats()["requests"]))


def failures(finished: Finished) -> dict[str, str]:
    """Whoever failed, with the error's code."""
    return {row["ticker"]: row["error"]["code"] for row in json.loads(finished.out)["failures"]}


def test_a_market_that_fails_a_fifth_of_its_requests_fails_the_same_rows_at_any_concurrency(prepared: Desk) -> None:
    healthy, needed = batch(prepared, Switches(), 10)
    hopeless = failures(healthy)  # the options of these say nothing, on any day
    outcomes = []
    for concurrency in (1, 4, 10):
        finished, made = batch(prepared, BAD_DAY, concurrency)
        document, failed = json.loads(finished.out), failures(finished)
        assert finished.code == 3
        assert len({row["ticker"] for row in document["analyses"]} | failed.keys()) == COMPANIES
        assert {code for ticker, code in failed.items() if ticker not in hopeless} == {"EXTERNAL"}
        assert 1.15 < made / needed <= 1.5  # 1 + 0.2 + 0.04 are to be expected
        outcomes.append((failed, document["analyses"]))
    assert outcomes[0] == outcomes[1] == outcomes[2]
