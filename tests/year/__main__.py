"""`python -m tests.year`: 252 trading days in one process, and whether anything grew that should not.

Exit code 1 for any problem. The market of the day lives in the same process, so that its memory is measured too.
"""

import argparse
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.year.days import Day, Year, secrets_below
from tests.year.judgement import KINDS
from tests.year.plan import FIRST_DAY, sessions_from

SESSIONS_A_YEAR: Final = 252
# A day may leave so much behind for good: descriptors none, memory less than a chain, the files what was analysed.
MOST_KB_A_DAY: Final = 200.0
MOST_BYTES_A_DAY: Final = 3_000_000.0
# Each event once in so many days at least; the clocks are changed and the exchange closes early twice a year.
DAYS_AN_EVENT: Final = 126


def main() -> int:
    """The exit code: 0 where all days went well and nothing grew."""
    options = _parser().parse_args()
    began = time.monotonic()
    sys.stdout.write(f"seed {options.seed}\n")
    with tempfile.TemporaryDirectory(prefix="year-") as name:
        year = Year(Path(name), sessions_from(FIRST_DAY, options.days), options.seed)
        days = []
        for day in year.days():
            days.append(day)
            if day.problems:
                sys.stdout.write(f"{day.day} ({day.mishap}): {'; '.join(day.problems)}\n")
                sys.stdout.flush()
        found = growth(days) + [f"a secret in {leak}" for leak in secrets_below(Path(name))] + missed(year.met, days)
    sys.stdout.write("".join(f"{problem}\n" for problem in found) + _summary(days))
    sys.stdout.write(f"met and treated rightly: {', '.join(f'{kind} {year.met[kind]}x' for kind in KINDS)}\n")
    sys.stdout.write(f"{time.monotonic() - began:.0f} s, seed {options.seed}\n")
    return 1 if found or any(day.problems for day in days) else 0


def missed(met: Mapping[str, int], days: Sequence[Day]) -> list[str]:
    """The events that so many days must bring and that did not come, or not as often."""
    needed = len(days) // DAYS_AN_EVENT
    return [f"{kind}: met {met.get(kind, 0)} times, {needed} needed" for kind in KINDS if met.get(kind, 0) < needed]


def slope(values: Sequence[float]) -> float:
    """Of the straight line through these values by least squares, a step."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    spread = sum((place - middle) ** 2 for place in range(len(values)))
    return sum((place - middle) * (value - mean) for place, value in enumerate(values)) / spread


def growth(days: Sequence[Day]) -> list[str]:
    """What grew by the day in the second half, after all that is kept on purpose was filled."""
    later = days[len(days) // 2 :]
    found = []
    if (descriptors := max(day.descriptors for day in later) - later[0].descriptors) > 0:
        found.append(f"{descriptors} descriptors more than in the middle of the year")
    if (kilobytes := slope([day.resident_kb for day in later])) > MOST_KB_A_DAY:
        found.append(f"memory grows by {kilobytes:.0f} KB a day, {MOST_KB_A_DAY:.0f} at most")
    if (size := slope([day.files_bytes for day in later])) > MOST_BYTES_A_DAY:
        found.append(f"the files grow by {size:.0f} bytes a day, {MOST_BYTES_A_DAY:.0f} at most")
    return found


def _summary(days: Sequence[Day]) -> str:
    codes = Counter(code for day in days for code in day.codes)
    mishaps = Counter(day.mishap for day in days)
    later = days[len(days) // 2 :]
    return (
        f"{len(days)} days from {days[0].day} to {days[-1].day}, {sum(codes.values())} runs\n"
        f"exit codes: {', '.join(f'{code} {count}x' for code, count in sorted(codes.items()))}\n"
        f"mishaps: {', '.join(f'{name} {count}x' for name, count in mishaps.most_common())}\n"
        f"memory {days[0].resident_kb / 1e3:.0f} to {days[-1].resident_kb / 1e3:.0f} MB, in the second half "
        f"{slope([day.resident_kb for day in later]):+.1f} KB a day; descriptors {days[-1].descriptors}; "
        f"files {days[-1].files_bytes / 1e6:.0f} MB, {days[-1].rows} rows\n"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.year", description=__doc__)
    parser.add_argument("--days", type=int, default=SESSIONS_A_YEAR, help=f"how many sessions ({SESSIONS_A_YEAR})")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="what the mishaps come from")
    return parser


if __name__ == "__main__":
    sys.exit(main())
