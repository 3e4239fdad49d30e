"""The year's first twelve trading days and three around Thanksgiving, and the lines that the whole is judged by."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.year.__main__ import growth, missed, slope
from tests.year.days import Day, Year, secrets_below
from tests.year.judgement import KINDS
from tests.year.plan import FIRST_DAY, sessions_from

SEED = 3
# Between them the machine is off. The exchange is closed on the 27th and closes early on the 28th.
AROUND_THANKSGIVING = (date(2025, 11, 26), date(2025, 11, 28), date(2025, 12, 1))


@pytest.fixture(autouse=True)
def same_log_handlers() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_fifteen_trading_days_meet_every_event_rightly_and_leave_no_descriptor_and_no_secret(tmp_path: Path) -> None:
    year = Year(tmp_path, (*sessions_from(FIRST_DAY, 12), *AROUND_THANKSGIVING), SEED)
    days = list(year.days())
    assert [problem for day in days for problem in day.problems] == []
    assert [kind for kind in KINDS if year.met[kind] == 0] == []
    assert days[-1].descriptors == days[1].descriptors
    assert days[-1].rows > days[0].rows > 0
    assert secrets_below(tmp_path) == []


def test_a_line_through_points_has_its_slope() -> None:
    assert slope([1.0, 3.0, 5.0]) == 2.0
    # x - 1.5 = -1.5, -0.5, 0.5, 1.5 against 0, 0, 0, 10: 15 / 5
    assert slope([0.0, 0.0, 0.0, 10.0]) == 3.0


def test_what_grows_by_the_day_is_found() -> None:
    one = Day(date(2026, 5, 15), "fair", (0, 0), (), 100_000, 10, 1_000_000, 9)
    still = [one] * 20
    assert growth(still) == []
    leaking = [
        replace(one, resident_kb=100_000 + 300 * n, descriptors=10 + n, files_bytes=4_000_000 * n) for n in range(20)
    ]
    assert growth(leaking) == [
        "9 descriptors more than in the middle of the year",
        "memory grows by 300 KB a day, 200 at most",
        "the files grow by 4000000 bytes a day, 3000000 at most",
    ]


def test_a_year_without_an_event_is_none() -> None:
    one = Day(date(2026, 5, 15), "fair", (0, 0), (), 100_000, 10, 1_000_000, 9)
    often = dict.fromkeys(KINDS, 2)
    assert missed(often, [one] * 252) == []
    assert missed(often | {"split": 1}, [one] * 252) == ["split: met 1 times, 2 needed"]
    assert missed({}, [one] * 15) == []
