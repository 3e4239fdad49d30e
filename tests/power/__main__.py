"""`python -m tests.power`: the power lost at a thousand moments of the repositories' real writes.

First at the moments just before and after every sync and every change of a name, then at random ones. `--seed S` draws
the same again. Exit code 1 for any problem.
"""

import argparse
import secrets
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from random import Random

from tests.power.judge import Record, problems_after, recorded
from tests.power.trace import why_not

# Enough for SQLite to play its log into the file while the run is under way: it does at 1,000 pages of 4 KB.
ROWS, DOCUMENT_BYTES = 40, 120_000


def main() -> int:
    """The exit code: 0 where nothing was lost, 2 where nothing can be traced."""
    options = _parser().parse_args()
    reason = why_not()
    if reason is not None:
        sys.stderr.write(f"{reason}\n")
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        record = recorded(Path(folder), ROWS, DOCUMENT_BYTES)
        sys.stdout.write(_described(record, options.seed))
        sys.stdout.flush()
        problems = problems_after(record, cuts(record, options.cuts, options.seed), options.seed)
    for problem in problems:
        sys.stdout.write(f"    {problem}\n")
    sys.stdout.write(
        f"{options.cuts} power losses, {len(problems)} problems, {time.monotonic() - began:.0f} s, "
        f"seed {options.seed}\n"
    )
    return 1 if problems else 0


def cuts(record: Record, wanted: int, seed: int) -> list[int]:
    """Half of them at turning points, a random choice where there are more, and again where there are fewer."""
    chance = Random(seed)
    turning = record.turning_points()
    chance.shuffle(turning)
    chosen = list(islice(cycle(turning), wanted // 2))
    return chosen + chance.choices(record.writes(), k=wanted - len(chosen))


def _described(record: Record, seed: int) -> str:
    syncs = sum(call is not None and call.name in {"fsync", "fdatasync"} for call in record.calls)
    return f"seed {seed}: {len(record.calls)} calls, {syncs} syncs, {len(record.states)} steps acknowledged\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.power", description=__doc__)
    parser.add_argument("--cuts", type=int, default=1000, help="how many moments (1000)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="what they are drawn from")
    return parser


if __name__ == "__main__":
    sys.exit(main())
